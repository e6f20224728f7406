"""The command line of the soak: exits with 1 when what is promised does not hold."""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import gevent

from tests.soak.load import Soak
from tests.support import loopback
from tests.support.daemons import find

#: Memory may grow by this part after the first tenth.
MOST_GROWTH = 0.03


def versions() -> dict[str, str]:
    """Return the versions of all that takes part."""
    told = {"python": platform.python_version(), **{name: version(name) for name in ("gevent", "h2", "h11")}}
    for name, option in (("nginx", "-v"), ("nghttpd", "--version"), ("apache2", "-v")):
        done = subprocess.run([find(name), option], capture_output=True, text=True, check=True)
        told[name] = (done.stdout or done.stderr).splitlines()[0]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--greenlets", type=int, default=200)
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args()
    loopback.stay()
    loopback.resolve_below_localhost()
    gevent.socket.getaddrinfo("localhost", 0)
    gevent.sleep(0.001)
    with tempfile.TemporaryDirectory() as folder:
        report = Soak(
            Path(folder),
            requests=options.requests,
            greenlets=options.greenlets,
            restarts=options.restarts,
            seed=options.seed,
        ).run()
    if report.growth > MOST_GROWTH:
        report.broken.append(f"memory has grown by {report.growth:.1%}")
    told = {"date": datetime.now(timezone.utc).date().isoformat(), **versions(), **vars(report)}
    print(json.dumps(told, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(told))
    print(f"memory {report.growth:+.1%} after the first tenth; {len(report.broken)} promises broken")
    return bool(report.broken)


if __name__ == "__main__":
    sys.exit(main())
