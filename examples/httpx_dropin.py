"""A program that uses httpx, over one fair pool of greenlets, by one argument more.

    python -m pip install '.[examples]'
    python examples/httpx_dropin.py

Starts two HTTPS servers that speak HTTP/2, A and B, on loopback and in this very process (see origins.py), asks them
by httpx, and lets them tell what they saw.  It needs no network, takes a second, and exits with 0 only if it did what
it says.  Nothing is monkey-patched.
"""

from __future__ import annotations

import sys

import gevent

import greenh2

try:
    import httpx
    from origins import THINKING, Certificates, Origin

    from greenh2.adapters.httpx import GreenTransport
except ImportError as missing:
    sys.exit(
        f"{missing}: run  python -m pip install '.[examples]'  and then  python examples/httpx_dropin.py"
    )


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"\nUnexpected: {what}")


def main() -> None:
    certificates = Certificates()
    limits = greenh2.Limits(max_connections=1)
    with Origin("A", certificates) as a, Origin("B", certificates) as b:
        transport = GreenTransport(verify=certificates.for_client(), limits=limits)  # the one argument
        with httpx.Client(transport=transport, headers={"X-Program": "as it was"}) as client:
            jobs = [gevent.spawn(client.get, f"{a.url}/slow") for _ in range(50)]
            gevent.joinall(jobs, raise_error=True)
            answers = [job.get() for job in jobs]
            other = client.get(b.url)

    good = sum(answer.is_success and answer.http_version == "HTTP/2" for answer in answers)
    most = max(visit.most_open_streams for visit in a.visits)
    print(f"50 greenlets, one Client: {good} answers over HTTP/2, {THINKING * 1000:.0f} ms each")
    print(f"A saw {len(a.visits)} connection and up to {most} requests on it at once")
    print(f"B answered {other.text.strip()!r} in the same pool of one place")
    expect(good == 50, "some requests were not answered over HTTP/2")
    expect((len(a.visits), len(b.visits)) == (1, 1), "there should have been one connection to each")
    expect(other.text == "hello from B\n", "the answer is not B's")
    print("\nIt did what it says.")


if __name__ == "__main__":
    main()
