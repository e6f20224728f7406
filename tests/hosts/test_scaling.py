"""What measures workers measures them: a small run, of which no figure is judged."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.daemons import find


def test_one_worker_and_two_are_measured_under_gunicorn_and_celery() -> None:
    for program in ("nginx", "redis-server"):
        find(program)
    command = [
        sys.executable,
        "-m",
        "benchmarks.scaling",
        "--rounds",
        "1",
        "--requests",
        "100",
        "--tasks",
        "50",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=55, cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["host"] for one in found] == ["gunicorn", "celery"]
    assert all(rate > 0 for one in found for rate in one["per_second"].values())
