"""Programs of requests and httpx run over greenh2, patched and not, and say so in figures."""

import certifi
import pytest

from tests.examples.running import PATCHED
from tests.examples.test_quickstart import run


@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            "requests_dropin.py",
            [
                "50 greenlets, one Session: 50 answers over HTTP/2",
                "A saw 1 connection and up to",
                "10 times requests.get(): 10 answers over HTTP/2\nA saw 1 connection\n",
                "Both did what they say.",
            ],
        ),
        (
            "httpx_dropin.py",
            [
                "50 greenlets, one Client: 50 answers over HTTP/2",
                "A saw 1 connection and up to",
                "B answered 'hello from B' in the same pool of one place",
                "It did what it says.",
            ],
        ),
    ],
    ids=["requests", "httpx"],
)
def test_a_program_does_what_it_says_whatever_the_environment_says(
    program: str, told: list[str], patched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    done = run(*(("-c", PATCHED.format(program)) if patched else (program,)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert [line for line in told if line not in done.stdout] == [], done.stdout
