"""Starts brokers for tests, each on a free port of loopback with a directory of its own.

    with broker.leveret() as leveret:
        connect(leveret.port)

Knows how to start and stop processes, and nothing of AMQP. Each broker is stopped by its pid.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
CACHE = TARGET / "tests"
RABBITMQ_TOOL = Path(__file__).with_name("rabbitmq")
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_PATIENCE_SECS = 30
_READY = re.compile(r"leveret ready amqp=\S*?:(\d+) .*pid=(\d+)")

# Passwords in tests are the users' names, but for the user of the tutorials.
PASSWORDS = {"wt": "111111"}

# A user whose permissions cover only names with "ok-" in them, and one without any.
TEST_USERS = """
[[users]]
name = "lim"
password_file = "lim.password"
[[users.permissions]]
vhost = "/"
configure = "ok-"
write = "ok-"
read = "ok-"

[[users]]
name = "none"
password_file = "none.password"
"""


class Unavailable(Exception):
    """What a test needs is not on this machine; the message says what."""


class Running:
    """A broker somebody else started: nothing of it is ours to stop."""

    def __init__(self, port, pid=None):
        self.port, self.pid = port, pid

    def stop(self):
        """Leaves it as it is."""


class Leveret(Running):
    """Leveret's release binary with its own data directory."""

    def __init__(self, *flags, config=""):
        self.directory = Path(tempfile.mkdtemp(prefix="leveret-", dir=_made(CACHE)))
        self.flags, self.config = flags, config
        self.start()

    def start(self):
        """Starts the process on the same data directory and waits for its ready line."""
        binary = Path(os.environ.get("BROKER_BINARY") or TARGET / "release" / "leveret")
        if not binary.exists():
            raise Unavailable(f"no {binary}: cargo build --release")
        command = [str(binary), "serve", "--amqp-port", "0", "--data-dir", str(self.directory / "data")]
        if self.config:
            for name in re.findall(r'password_file = "(.*?)\.password"', self.config):
                (self.directory / f"{name}.password").write_text(PASSWORDS.get(name, name) + "\n")
            (self.directory / "leveret.toml").write_text(self.config)
            command += ["--config", str(self.directory / "leveret.toml")]
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(command + list(self.flags), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, env=_environment())
        self.pid = self.process.pid
        self.port = self._ready()

    def _ready(self):
        """Reads start-up lines until the ready line; what comes later goes to the log."""
        seen = []
        for line in self.process.stdout:
            seen.append(line.decode(errors="replace"))
            found = _READY.search(seen[-1])
            if found:
                _forward(self.process.stdout, self.log)
                return int(found[1])
        self.process.wait()
        tail = (self.directory / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"leveret ended with {self.process.returncode}: {''.join(seen)[-2000:]}{tail}")

    def stop(self):
        """SIGTERM; the exit status, or None where it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        finally:
            self.log.close()

    def kill(self):
        """SIGKILL, as a power cut would end it; the data directory stays for `start`."""
        self.process.kill()
        self.process.wait()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def _environment():
    """Ours without LEVERET_*, which would configure the broker under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LEVERET_")}


def _forward(stream, log):
    """Keeps a broker's later output from filling the pipe."""
    import threading

    def copy():
        with contextlib.suppress(ValueError):
            for line in stream:
                log.write(line)
    threading.Thread(target=copy, daemon=True).start()


def _made(directory):
    directory.mkdir(parents=True, exist_ok=True)
    return directory


class RabbitMQ(Running):
    """A private node of Debian's rabbitmq-server."""

    def __init__(self):
        if not RABBITMQ_SERVER.exists():
            raise Unavailable("no rabbitmq-server: apt-get install rabbitmq-server")
        port = _free_ports()
        self.environment = {**os.environ, "RABBITMQ_TOOL_DIR": str(_made(CACHE) / f"rabbitmq-{port}")}
        super().__init__(port, int(self._tool("start", str(port))))

    def _tool(self, *arguments):
        done = subprocess.run([str(RABBITMQ_TOOL), *arguments], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=180, text=True)
        if done.returncode:
            raise RuntimeError(f"rabbitmq {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def ctl(self, *arguments):
        return self._tool("ctl", str(self.port), *arguments)

    def stop(self):
        self._tool("stop", str(self.port))


def _free_ports():
    """A port for which the others that the tool derives from it are free as well."""
    start = 12000 + os.getpid() * 37 % 10000
    for port in range(start, start + 2000):
        if all(_is_free(port + more) for more in (0, 10000, 10020, 20000, 30000)):
            return port
    raise RuntimeError("no free ports for RabbitMQ")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def add_test_users(rabbitmq):
    """The users of `TEST_USERS`, in RabbitMQ."""
    rabbitmq.ctl("add_user", "lim", "lim")
    rabbitmq.ctl("set_permissions", "-p", "/", "lim", "ok-", "ok-", "ok-")
    rabbitmq.ctl("add_user", "none", "none")


@contextlib.contextmanager
def leveret(port=None, *flags, config=TEST_USERS):
    """Leveret for the time of a `with`; with `port` one that runs already."""
    running = Running(port) if port else Leveret(*flags, config=config)
    try:
        yield running
    finally:
        running.stop()
        if not port:
            running.remove()


@contextlib.contextmanager
def rabbitmq(port=None):
    """RabbitMQ with the limited user for the time of a `with`; with `port` one that runs already."""
    running = Running(port) if port else RabbitMQ()
    try:
        if not port:
            add_test_users(running)
        yield running
    finally:
        running.stop()


def wait_for_port(port, seconds=_PATIENCE_SECS):
    """Waits until something accepts connections."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
    raise TimeoutError(f"nothing listens on {port}")
