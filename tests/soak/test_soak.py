"""A soak in small: it finds nothing, and does what it says."""

import json
from pathlib import Path

from tests.soak.load import Soak


def test_a_small_soak_breaks_no_promise(tmp_path: Path) -> None:
    report = Soak(tmp_path, requests=1000, greenlets=50, restarts=2, seed=1).run()
    assert report.broken == []
    assert json.loads(json.dumps(vars(report)))["outcomes"]["answered"] == report.outcomes["answered"]
    assert (report.requests, report.restarts, len(report.memory)) == (1000, 2, 10)
    assert report.outcomes["answered"] > 500
    assert report.outcomes["killed"] + report.outcomes["timed out from outside"] > 5
