"""The benchmarks run: one tiny round of greenh2 gives figures of the right shape.  No timing is asserted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import find

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one round of two works writes as JSON."""
    find("nginx")
    path = tmp_path_factory.mktemp("benchmarks") / "results.json"
    asked = ["--peer", "greenh2", "--work", "h2-64", "--work", "download", "--rounds", "1"]
    tiny = ["--requests", "70", "--megabytes", "1", "--json", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *asked, *tiny], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_every_work_that_was_asked_for_is_reported(told: dict[str, Any]) -> None:
    assert list(told["works"]) == ["h2-64", "download"]


def test_a_run_tells_its_date_machine_and_versions(told: dict[str, Any]) -> None:
    assert {"date", "machine", "server", "versions"} <= told.keys()
    assert {"greenh2", "gevent", "python"} <= told["versions"]["greenh2"].keys()


def test_a_round_of_requests_has_its_figures(told: dict[str, Any]) -> None:
    (figures,) = told["works"]["h2-64"]["peers"]["greenh2"]["rounds"]
    latencies = {"p50_ms", "p95_ms", "p99_ms"}
    assert figures.keys() == {"cpu_us", "requests_per_second", "under_way", "peak_mb", *latencies}


def test_a_round_of_streaming_has_its_figures(told: dict[str, Any]) -> None:
    (figures,) = told["works"]["download"]["peers"]["greenh2"]["rounds"]
    assert figures.keys() == {"cpu_ms", "megabytes_per_second", "peak_mb", "growth_mb"}


def test_greenh2_is_the_measure_of_the_ratios(told: dict[str, Any]) -> None:
    assert told["works"]["h2-64"]["peers"]["greenh2"]["ratio"] == 1.0
