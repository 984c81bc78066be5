"""Runs drawn client programs on Leveret and RabbitMQ side by side and compares every frame.

    python3 tests/run differential --programs 50 --seed 7

Prints the seed; a program that differs is shrunk and printed as a script, and the same seed draws it
again (`--only N` runs just that one). Ends with `N passed, N failed, N skipped`.
"""

import argparse
import itertools
import os
import random
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "clients")]

import broker
import compare
import expected
import generator
from player import Player

_counter = itertools.count()


def first_difference(steps, theirs_port, ours_port):
    """(index of the step, its differences) of the first step that differs, or None."""
    number = next(_counter)
    names = sorted(set(generator.NAMES) | {"~crlf", "~nosuch"})
    theirs, ours = Player(theirs_port, f"r{number:06d}."), Player(ours_port, f"l{number:06d}.")
    try:
        for index, step in enumerate(steps):
            found = compare.differences(step, theirs.play(step), ours.play(step))
            if found:
                return index, found
        return None
    finally:
        theirs.finish(names)
        ours.finish(names)


def shrink(steps, theirs_port, ours_port, seconds=60):
    """The program with every step taken out that the difference does not need."""
    until = time.monotonic() + seconds
    index, found = first_difference(steps, theirs_port, ours_port) or (len(steps) - 1, ["did not happen again"])
    steps = steps[:index + 1]
    at = len(steps) - 2
    while at >= 0 and time.monotonic() < until:
        shorter = steps[:at] + steps[at + 1:]
        again = first_difference(shorter, theirs_port, ours_port)
        if again:
            steps, found = shorter[:again[0] + 1], again[1]
        at = min(at - 1, len(steps) - 2)
    return steps, found


def script(steps, found):
    lines = [f"    {step}" for step in steps] + [f"  {line}" for line in found]
    return "\n".join(lines)


def programs(options, theirs_port, ours_port):
    """Runs the drawn programs; returns how many passed and failed."""
    passed = failed = 0
    for number in range(options.programs):
        if options.only is not None and number != options.only:
            continue
        steps = generator.Draw(random.Random(f"{options.seed}/{number}")).program(options.length)
        if first_difference(steps, theirs_port, ours_port) is None:
            passed += 1
            continue
        failed += 1
        shorter, found = shrink(steps, theirs_port, ours_port)
        print(f"program {number} of seed {options.seed} differs:\n{script(shorter, found)}", flush=True)
    return passed, failed


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=int, default=50, help="how many programs (default 50)")
    parser.add_argument("--seed", type=int, default=None, help="draw the same programs again")
    parser.add_argument("--only", type=int, default=None, help="only the program with this number")
    parser.add_argument("--length", type=int, default=30, help="steps of a program (default 30)")
    parser.add_argument("--rabbitmq-twice", action="store_true", help="compare RabbitMQ with itself: no difference")
    parser.add_argument("--rabbitmq-port", type=int, help="a RabbitMQ that runs already")
    parser.add_argument("--leveret-port", type=int, help="a broker to compare with it that runs already")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(3), "big")
    return options


def main(arguments):
    options = parse(arguments)
    print(f"differential: seed {options.seed}, {options.programs} programs", flush=True)
    expected.enabled = not options.rabbitmq_twice
    start_ours = broker.rabbitmq if options.rabbitmq_twice else broker.leveret
    with broker.rabbitmq(options.rabbitmq_port) as theirs, start_ours(options.leveret_port) as ours:
        passed, failed = programs(options, theirs.port, ours.port)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
