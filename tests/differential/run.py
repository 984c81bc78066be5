"""Runs client programs on Leveret and RabbitMQ side by side and compares every frame.

First every situation of situations.py and handshakes.py, then programs drawn at random.

    python3 tests/run differential --programs 50 --seed 7

Prints the seed; a program that differs is shrunk and printed as a script, and the same seed draws it
again (`--only N` runs just that one). One that differs once, and then not, is noted and passes: RabbitMQ's
queues are processes of their own, and a few of its orders are chance. Ends with `N passed, N failed, N skipped`.
"""

import argparse
import contextlib
import itertools
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "clients")]

import broker
import compare
import expected
import generator
import handshakes
from connection import Event
from player import Player
from situations import PERMISSION_NAMED, SITUATIONS

_counter = itertools.count()


def first_difference(steps, theirs_port, ours_port):
    """(index of the step, its differences) of the first step that differs, or None."""
    number = next(_counter)
    names = sorted(set(generator.NAMES) | {"~crlf", "~nosuch", "~q", "~x"})
    theirs, ours = Player(theirs_port, f"r{number:06d}."), Player(ours_port, f"l{number:06d}.")
    try:
        for index, step in enumerate(steps):
            found = compare.differences(step, theirs.play(step), ours_played(ours, step))
            if found:
                return index, found
        return None
    finally:
        theirs.finish(names)
        with contextlib.suppress(ConnectionError):
            ours.finish(names)


def ours_played(player, step):
    """What Leveret answered; a frame that cannot be read, or no broker any more, is an answer as well."""
    try:
        return player.play(step)
    except (ConnectionError, AssertionError, ValueError, KeyError) as error:
        return {(step.conn, step.chan): [Event(step.chan, f"broken: {error!r}", {}, None, None)]}


def shrink(steps, theirs_port, ours_port, seconds=30):
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
        if is_same(f"program {number} of seed {options.seed}", steps, theirs_port, ours_port):
            passed += 1
        else:
            failed += 1
        if failed == options.most:
            print(f"stopped after {failed} programs that differ")
            break
    return passed, failed


def is_same(title, steps, theirs_port, ours_port):
    """Whether a program brings the same frames from both; prints it, shrunk, where it does not."""
    first = first_difference(steps, theirs_port, ours_port)
    if first is None:
        return True
    if first_difference(steps, theirs_port, ours_port) is None:
        print(f"{title} differed once, and then not:\n{script(steps[:first[0] + 1], first[1])}", flush=True)
        return True
    shorter, found = shrink(steps, theirs_port, ours_port)
    print(f"{title} differs:\n{script(shorter, found)}", flush=True)
    return False


def table(theirs_port, ours_port):
    """Plays every situation and handshake on both; returns how many passed, failed and are expected to differ."""
    otherwise = [s for s in SITUATIONS if s.newer not in ("", PERMISSION_NAMED)] if expected.enabled else []
    comparable = [s for s in SITUATIONS if s not in otherwise]
    results = [is_same(f"situation {s.number} ({s.title})", s.steps, theirs_port, ours_port) for s in comparable]
    with ThreadPoolExecutor(8) as pool:
        results += pool.map(lambda h: h.is_same(theirs_port, ours_port), handshakes.HANDSHAKES)
    for situation in otherwise:
        print(f"expected difference: {situation.title}: {situation.newer}")
    return results.count(True), results.count(False), len(otherwise)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=int, default=50, help="how many programs (default 50)")
    parser.add_argument("--seed", type=int, default=None, help="draw the same programs again")
    parser.add_argument("--only", type=int, default=None, help="only the program with this number")
    parser.add_argument("--length", type=int, default=30, help="steps of a program (default 30)")
    parser.add_argument("--most", type=int, default=10, help="stop after so many that differ (default 10)")
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
        passed, failed, skipped = (0, 0, 0) if options.only is not None else table(theirs.port, ours.port)
        more_passed, more_failed = programs(options, theirs.port, ours.port)
    print(f"{passed + more_passed} passed, {failed + more_failed} failed, {skipped} skipped")
    return 1 if failed + more_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
