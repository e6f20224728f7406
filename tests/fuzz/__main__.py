"""The command line of the fuzzer."""

import argparse
import sys
import time

import gevent

from tests.fuzz.runner import run
from tests.support import loopback


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="how many to run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn by (default: %(default)s)")
    parser.add_argument("--case", type=int, help="run this one alone")
    options = parser.parse_args()
    loopback.stay()
    gevent.sleep(0.001)  # the hub opens what it keeps
    numbers = range(options.cases) if options.case is None else range(options.case, options.case + 1)
    started = time.monotonic()
    tally = run(options.seed, numbers, progress=options.case is None)
    for failure in tally.failures:
        print(failure)
    outcomes = ", ".join(
        f"{count} {name}" for name, count in sorted(tally.outcomes.items(), key=lambda item: -item[1])
    )
    print(
        f"{tally.cases} cases in {time.monotonic() - started:.0f} s, {len(tally.failures)} failures; {outcomes}"
    )
    return bool(tally.failures)


if __name__ == "__main__":
    sys.exit(main())
