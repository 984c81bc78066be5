"""A program under test: started, watched line by line, and killed. Waits for what it prints, never sleeps."""

import os
import subprocess
import threading

PATIENCE_SECS = 30


# One for all programs, so that one can wait for whichever is first.
_changed = threading.Condition()


class Program:
    """A child process whose standard output is read as it comes; AMQP_URL tells it the broker."""

    def __init__(self, command, amqp_url, **options):
        environment = {**os.environ, "AMQP_URL": amqp_url, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, **options)
        self.name = str(command[1])
        self._lines, self._ended = [], False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with _changed:
                self._lines.append(line.rstrip("\n"))
                _changed.notify_all()
        with _changed:
            self._ended = True
            _changed.notify_all()

    def lines(self):
        return list(self._lines)

    def has(self, text):
        return any(text in line for line in self.lines())

    def wait_for(self, text, seconds=PATIENCE_SECS):
        """Waits until a line contains `text`."""
        with _changed:
            _changed.wait_for(lambda: self._ended or self.has(text), seconds)
        if not self.has(text):
            raise AssertionError(f"{self.name} never said {text!r}, but: {self._lines}")

    def finish(self, seconds=PATIENCE_SECS):
        """Waits for the end, which has to be a good one, and returns the lines."""
        status = self.process.wait(seconds)
        with _changed:
            _changed.wait_for(lambda: self._ended, seconds)
        if status:
            raise AssertionError(f"{self.name} ended with {status}: {self._lines}")
        return self.lines()

    def kill(self):
        """SIGKILL, as a crash of the machine would look to the broker."""
        self.process.kill()
        self.process.wait()


def first_to_say(text, *programs, seconds=PATIENCE_SECS):
    """The first of the programs with a line that contains `text`."""
    with _changed:
        _changed.wait_for(lambda: any(program.has(text) for program in programs), seconds)
    for program in programs:
        if program.has(text):
            return program
    raise AssertionError(f"nobody said {text!r}: {[program.lines() for program in programs]}")
