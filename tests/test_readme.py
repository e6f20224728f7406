"""The README is true: its tour is run as it is printed, and its two commands are the ones that work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import gevent.monkey
import pytest

from tests.support.certificates import Certificates
from tests.support.origins import OriginFactory

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tour_works_as_it_is_printed(
    origin: OriginFactory, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # doctest takes a fence that follows an example for a part of what it prints.
    tour = re.sub(r"^```.*$", "", README, flags=re.MULTILINE)
    for name in ("api", "files"):
        tour = tour.replace(f"https://{name}.example.org", origin().url)
    (tmp_path / "tour.txt").write_text(tour, encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)

    # In a process of its own, for the tour forks, starts threads and handles signals.
    patched = ["-m", "gevent.monkey", "--module"] if gevent.monkey.is_module_patched("socket") else ["-m"]
    run = subprocess.run(
        [sys.executable, *patched, "doctest", "-o", "ELLIPSIS", str(tmp_path / "tour.txt")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (run.stdout, run.returncode) == ("", 0), run.stdout + run.stderr
    assert tour.count(">>> ") > 40


def test_there_are_two_commands_for_the_set_up() -> None:
    setup = README[README.index("## Set-up") : README.index("## A tour")]
    assert re.findall(r"```sh\n(.*?)\n```", setup, flags=re.DOTALL) == [
        "python -m pip install '.[examples]' && python examples/quickstart.py",
        "python -m pip install tox && tox run",
    ]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
