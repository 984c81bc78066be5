"""Runs the unittest cases of a module and closes with the line that the task runner reads."""

import os
import sys
import unittest


def main(module):
    """Runs everything in `module` (or what the command line names); never returns."""
    loader = unittest.defaultTestLoader
    cases = sys.modules[module]
    suite = loader.loadTestsFromNames(sys.argv[1:], cases) if sys.argv[1:] else loader.loadTestsFromModule(cases)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    bad = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    if os.environ.get("CI") == "true":       # there, what is missing is a failure
        bad, skipped = bad + skipped, 0
    print(f"{result.testsRun - bad - skipped} passed, {bad} failed, {skipped} skipped")
    sys.exit(1 if bad else 0)
