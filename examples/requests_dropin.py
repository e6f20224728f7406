"""A program that uses requests, over HTTP/2 and one connection, by one line more.

    python -m pip install '.[examples]'
    python examples/requests_dropin.py

Starts an HTTPS server that speaks HTTP/2, A, on loopback and in this very process (see origins.py), asks it by
requests, and lets it tell what it saw.  It needs no network, takes a second, and exits with 0 only if it did what it
says.  Nothing is monkey-patched.
"""

from __future__ import annotations

import sys
import tempfile

import gevent

try:
    import requests
    from origins import THINKING, Certificates, Origin

    from greenh2.adapters.requests import GreenAdapter, install
except ImportError as missing:
    sys.exit(
        f"{missing}: run  python -m pip install '.[examples]'  and then  python examples/requests_dropin.py"
    )


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"\nUnexpected: {what}")


def one_session(a: Origin, trust: str) -> None:
    """The Session, its settings and the calls are what they were; the one line is mount()."""
    session = requests.Session()
    session.verify = trust
    session.trust_env = False  # REQUESTS_CA_BUNDLE would hold in place of session.verify
    session.headers["X-Program"] = "as it was"
    session.mount("https://", GreenAdapter())  # the one line

    jobs = [gevent.spawn(session.get, f"{a.url}/slow") for _ in range(50)]
    gevent.joinall(jobs, raise_error=True)
    answers = [job.get() for job in jobs]
    session.close()

    good = sum(answer.ok and answer.raw.version == 20 for answer in answers)
    most = max(visit.most_open_streams for visit in a.visits)
    print(f"50 greenlets, one Session: {good} answers over HTTP/2, {THINKING * 1000:.0f} ms each")
    print(f"A saw {len(a.visits)} connection and up to {most} requests on it at once")
    expect(good == 50, "some requests were not answered over HTTP/2")
    expect(len(a.visits) == 1, "there should have been one connection")


def every_session(a: Origin, trust: str) -> None:
    """After install() code that calls requests.get(), which makes a Session each time, shares one connection too."""
    a.visits.clear()
    with install():
        answers = [requests.get(a.url, verify=trust, timeout=5) for _ in range(10)]
    print(
        f"\n10 times requests.get(): {sum(answer.raw.version == 20 for answer in answers)} answers over HTTP/2"
    )
    print(f"A saw {len(a.visits)} connection")
    expect(all(answer.text == "hello from A\n" for answer in answers), "some answers are not A's")
    expect(len(a.visits) == 1, "there should have been one connection")


def main() -> None:
    certificates = Certificates()
    with tempfile.NamedTemporaryFile(suffix=".pem") as trust, Origin("A", certificates) as a:
        certificates.write(trust.name)
        one_session(a, trust.name)
        every_session(a, trust.name)
    print("\nBoth did what they say.")


if __name__ == "__main__":
    main()
