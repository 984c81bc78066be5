"""Runs client libraries' own suites, each against a broker that was started for it alone.

    python3 tests/run clients [NAME...]      # AMQP_PORT names a broker that runs already

A suite is an executable in suites/ that ends with `N passed, N failed, N skipped`. Left out by the suites
themselves: TestConnection_Close_WhenMemoryAlarmIsActive of go-amqp091, which drives rabbitmqctl; and pika's
kqueue tests, for another operating system.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import broker

SUITES = Path(__file__).with_name("suites")
_COUNTS = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")
_LIMIT_SECS = 900
# What a suite needs of its broker: pika 1.3.2 wants what RabbitMQ said before 3.13.
_FLAGS = {"python-pika": ["--set", "compatibility.unknown_exchange_type=503"]}


def run(suite, port):
    """(passed, failed, skipped) of one suite; its log is shown where something failed."""
    log = broker.CACHE / "suites" / "log" / f"{suite.name}.log"
    environment = {**os.environ, "AMQP_PORT": str(port), "SUITE_CACHE": str(broker.CACHE / "suites")}
    done = subprocess.run(["timeout", "-k", "15", str(_LIMIT_SECS), suite], env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    found = _COUNTS.fullmatch(done.stdout.strip().split("\n")[-1])
    counts = tuple(map(int, found.groups())) if found else (0, 1, 0)
    print(f"{suite.name}: {'%d passed, %d failed, %d skipped by itself' % counts}; log: {log}", flush=True)
    if counts[1] and log.exists():
        print(failures(log.read_text(errors="replace")), flush=True)
    return counts


def failures(log):
    """The part of a log that names what failed."""
    lines = [line for line in log.splitlines() if re.match(r"\s*(FAILED|ERROR|--- FAIL|panic:)|== .*(BROKEN|ended)", line)]
    return "\n".join(lines[:60] or log.splitlines()[-40:])


def main(names):
    suites = [each for each in sorted(SUITES.iterdir()) if each.name != "lib.sh" and (not names or each.name in names)]
    total = [0, 0, 0]
    for suite in suites:
        port, flags = int(os.environ.get("AMQP_PORT") or 0), _FLAGS.get(suite.name, [])
        with broker.leveret(port, *flags, config="") as running:
            total = [a + b for a, b in zip(total, run(suite, running.port))]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not suites else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
