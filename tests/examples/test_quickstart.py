"""The quickstart does what it says, patched and not, and says so in figures."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATCHED = """
from gevent import monkey; monkey.patch_all()
import runpy; runpy.run_path("quickstart.py", run_name="__main__")
"""
BROKEN = """
import quickstart
quickstart.STEPS = [("Nothing", lambda a, b, trust: quickstart.expect(False, "nothing came of it"))]
quickstart.main()
"""


def run(*command: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT / "examples",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def figure(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1])


@pytest.mark.parametrize("command", [("quickstart.py",), ("-c", PATCHED)], ids=["unpatched", "patched"])
def test_every_step_does_what_it_says(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # not for servers on loopback
    started = time.monotonic()
    done = run(*command)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert time.monotonic() - started < 30

    _, sharing, redirect, fairness, reaping = re.split(r"\n\n\d\. ", done.stdout)
    assert "100 of 100 requests" in sharing
    assert "A saw 1 connection and" in sharing
    assert redirect.count("A and then B answered [302, 200], and 'hello from B'") == 3
    assert "A saw 3 connections, B saw 3" in redirect
    assert 0.0 < figure(fairness, r"B answered 'hello from B' ([\d.]+) s after it was asked") < 4.0
    assert 0.9 < figure(reaping, r"A saw GOAWAY ([\d.]+) s") < 5.0
    assert 0.9 < figure(reaping, r"B saw GOAWAY ([\d.]+) s") < 5.0
    assert "All four steps did what they say" in reaping


def test_a_step_that_fails_is_named_and_makes_the_exit_code() -> None:
    done = run("-c", BROKEN)
    assert done.returncode == 1
    assert "Step 1 failed: Unexpected: nothing came of it" in done.stderr
