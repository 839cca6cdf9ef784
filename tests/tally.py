"""Counts what test runners report, for tests/run. Prints "PASSED FAILED SKIPPED".

    tally.py meson testlog.json       the tests of a meson run (meson-logs/testlog.json)
    tally.py output FILE STATUS       one runner's output and exit status

A runner may say how many checks it made: libcheck's "100%: Checks: 7, Failures: 0, Errors: 0" (a line a suite), or a line
"7 passed, 0 failed[, 1 skipped]" (the last counts). One that says neither counts as one check. Whatever a runner says,
ending badly (a crash, a timeout, a status other than 0) counts as at least one failure. Lines of a libcheck program that
begin with SKIPPED name checks that could not be made here; they are taken off what it says has passed. Other runners
do not count such checks; if they do not say how many there were, their SKIPPED lines are counted.
"""
import json
import re
import sys

CHECK = re.compile(r'^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)\s*$', re.M)
PLAIN = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$', re.M)
SKIPPED = re.compile(r'^(?:.*: )?SKIPPED\b', re.M)


def count(output, good):
    """(passed, failed, skipped) of one runner that printed `output` and ended well or not."""
    suites = CHECK.findall(output)
    plain = PLAIN.findall(output)
    missing = len(SKIPPED.findall(output))
    if suites:
        checks, failures, errors = (sum(int(suite[i]) for suite in suites) for i in range(3))
        skipped = min(missing, checks - failures - errors)
        passed, failed = checks - failures - errors - skipped, failures + errors
    elif plain:
        passed, failed = int(plain[-1][0]), int(plain[-1][1])
        skipped = int(plain[-1][2] or missing)
    else:
        passed, failed, skipped = int(good), 0, 0
    return passed, failed if good else max(failed, 1), skipped


def meson(path):
    totals = [0, 0, 0]
    with open(path) as lines:
        for line in lines:
            test = json.loads(line)
            if test['result'] == 'SKIP':
                numbers = 0, 0, 1
            else:
                # Check prints to standard output; a sanitizer's report on standard error changes the result.
                numbers = count(test.get('stdout') or '', test['result'] in ('OK', 'EXPECTEDFAIL'))
            totals = [a + b for a, b in zip(totals, numbers)]
    return totals


if __name__ == '__main__':
    if sys.argv[1] == 'meson':
        print(*meson(sys.argv[2]))
    else:
        with open(sys.argv[2], errors='replace') as lines:
            print(*count(lines.read(), sys.argv[3] == '0'))
