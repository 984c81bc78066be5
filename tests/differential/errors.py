"""Checks every situation of situations.py and handshakes.py against one broker.

    python3 tests/run errors                     # Leveret, started for it
    python3 tests/run errors --port 5672         # a broker that runs already
    python3 tests/run errors --rabbitmq          # RabbitMQ, to check the table itself
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "clients")]

import broker
import handshakes
from compare import show
from player import Player
from situations import SITUATIONS, matches


def play(situation, port, number):
    """What the last step of a situation brought."""
    player = Player(port, f"e{number:06d}.")
    try:
        for step in situation.steps:
            seen = player.play(step)
        return seen
    finally:
        player.finish(["~q", "~x", "~ok-q"])


def check(situation, port, number):
    """None, or what was wrong."""
    seen = play(situation, port, number)
    if matches(situation, seen):
        return None
    lines = [f"{where}: {show(event)}" for where, events in seen.items() for event in events]
    return f"wanted {situation.place()}: {situation.expect}\n    " + "\n    ".join(lines or ["nothing came"])


def run(port, is_rabbitmq):
    """Passed, failed and skipped, over both tables."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for number, situation in enumerate(SITUATIONS):
        if is_rabbitmq and situation.newer:
            counts["skipped"] += 1
            continue
        wrong = check(situation, port, number)
        counts["failed" if wrong else "passed"] += 1
        if wrong:
            print(f"{situation.number} {situation.title}: {wrong}", flush=True)
    # These wait for seconds each, because a broker makes whoever fails to log in wait.
    with ThreadPoolExecutor(8) as pool:
        for handshake, wrong in pool.map(lambda h: (h, h.check(port)), handshakes.HANDSHAKES):
            counts["failed" if wrong else "passed"] += 1
            if wrong:
                print(f"{handshake.number} {handshake.title}: {wrong}", flush=True)
    return counts


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, help="a broker that runs already")
    parser.add_argument("--rabbitmq", action="store_true", help="the broker is RabbitMQ 3.10")
    options = parser.parse_args(arguments)
    start = broker.rabbitmq if options.rabbitmq else broker.leveret
    with start(options.port) as running:
        counts = run(running.port, options.rabbitmq)
    print(", ".join(f"{number} {word}" for word, number in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
