"""greenh2 in four steps, each with the figures that prove it.

    python -m pip install '.[examples]'
    python examples/quickstart.py

Starts two HTTPS servers that speak HTTP/2, A and B, on loopback and in this very process (see origins.py), asks them
in four ways, and lets them tell what they saw.  It needs no network, takes some three seconds, and exits with 0 only
if every step did what it says.
"""

from __future__ import annotations

import ssl
import sys
from time import monotonic

import gevent
from gevent.event import Event

import greenh2

try:
    from origins import THINKING, Certificates, Origin
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: run  python -m pip install '.[examples]'  and then  python examples/quickstart.py")


class Unexpected(Exception):
    """A step did not do what it says."""


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Unexpected(what)


def say(line: str) -> None:
    print(f"   {line}", flush=True)


# 1 ------------------------------------------------------------------------------------------------------------


def many_greenlets_share_one_connection(a: Origin, _b: Origin, trust: ssl.SSLContext) -> None:
    """Every greenlet calls the client as if it were alone; the pool makes one dial and 100 streams of it."""
    with greenh2.Client(verify=trust) as client:
        began = monotonic()
        jobs = [gevent.spawn(client.get, f"{a.url}/slow") for _ in range(100)]
        gevent.joinall(jobs, raise_error=True)
        took = monotonic() - began

    answers = [job.get() for job in jobs]
    good = sum(answer.status_code == 200 and answer.http_version == "HTTP/2" for answer in answers)
    most = max(visit.most_open_streams for visit in a.visits)
    say(f"{good} of 100 requests, {THINKING * 1000:.0f} ms each, were answered over HTTP/2 in {took:.3f} s")
    say(f"A saw {len(a.visits)} connection and up to {most} requests on it at once")
    expect(good == 100, "some requests were not answered with 200 over HTTP/2")
    expect(len(a.visits) == 1, "there should have been one connection")
    expect(took < 100 * THINKING / 2, "the requests seem to have been served one after the other")


# 2 ------------------------------------------------------------------------------------------------------------


def a_redirect_gets_through_a_pool_of_one(a: Origin, b: Origin, trust: ssl.SSLContext) -> None:
    """The story greenh2 was begun for.

    A's answer leads to B.  The only connection that the pool may have belongs to A, is healthy, and would be kept:
    there are clients that wait for a place here until their timeout, or for ever without one.  greenh2 closes the idle
    connection and uses its place.
    """
    a.moved["/moved"] = f"{b.url}/"
    limits = greenh2.Limits(max_connections=1, keepalive_expiry=None)
    with greenh2.Client(verify=trust, limits=limits, follow_redirects=True) as client:
        for _ in range(3):
            began = monotonic()
            answer = client.get(f"{a.url}/moved")
            took = monotonic() - began
            statuses = [hop.status_code for hop in (*answer.history, answer)]
            say(f"A and then B answered {statuses}, and {answer.text.strip()!r}, in {took:.3f} s")
            expect(answer.text == "hello from B\n", "the redirect did not end at B")
            expect(took < 4.0, "that took too long: somebody has waited for a place in the pool")
    say(f"A saw {len(a.visits)} connections, B saw {len(b.visits)}: one at a time, each closed for the next")
    expect(len(a.visits) == len(b.visits) == 3, "there should have been three connections to each origin")


# 3 ------------------------------------------------------------------------------------------------------------


def a_busy_origin_does_not_starve_another(a: Origin, b: Origin, trust: ssl.SSLContext) -> None:
    """Ten greenlets leave A's connection no idle moment, and it is the only one.  B is served all the same.

    When a request has waited 0.1 s (Limits.fairness_delay) for a place, a busy connection takes no new streams; those
    it has are finished, and its place goes to whoever has waited longest.
    """
    answered = 0
    stop = Event()

    def keep_busy() -> None:
        nonlocal answered
        while not stop.is_set():
            client.get(f"{a.url}/slow").raise_for_status()
            answered += 1

    with greenh2.Client(verify=trust, limits=greenh2.Limits(max_connections=1)) as client:
        # One after the other, so that their requests never all end at once.
        workers = [gevent.spawn_later(number * THINKING / 10, keep_busy) for number in range(10)]
        gevent.sleep(0.5)
        before = answered
        began = monotonic()
        answer = client.get(b.url)
        waited = monotonic() - began
        gevent.sleep(0.5)
        after = answered
        stop.set()
        gevent.joinall(workers, raise_error=True)

    say(f"A answered {before} requests of ten greenlets in the first 0.5 s")
    say(f"B answered {answer.text.strip()!r} {waited:.3f} s after it was asked")
    say(f"A answered {after - before} more since")
    expect(before > 0, "A was not busy at all")
    expect(waited < 4.0, "B had to wait too long")
    expect(after > before, "A was not served again after B")


# 4 ------------------------------------------------------------------------------------------------------------


def the_reaper_closes_what_is_idle(a: Origin, b: Origin, trust: ssl.SSLContext) -> None:
    """Nobody makes another request, and yet idle connections are closed when their time has come."""
    expiry = 1.0
    with greenh2.Client(verify=trust, limits=greenh2.Limits(keepalive_expiry=expiry)) as client:
        client.get(a.url)
        client.get(b.url)
        say(f"after two requests: {client.dump().splitlines()[0]}")
        patience = monotonic() + expiry + 4.0
        while monotonic() < patience and any(origin.visits[0].closed is None for origin in (a, b)):
            gevent.sleep(0.01)
        say(f"now:                {client.dump().splitlines()[0]}")
        for origin in (a, b):
            visit = origin.visits[0]
            if visit.goodbye is None or visit.closed is None:
                raise Unexpected(f"the connection to {origin.name} was not closed, or closed without GOAWAY")
            goodbye, closed = visit.goodbye - visit.last_answer, visit.closed - visit.last_answer
            say(f"{origin.name} saw GOAWAY {goodbye:.3f} s and the end {closed:.3f} s after its last answer")
            expect(closed > expiry - 0.05, f"the connection to {origin.name} was closed too early")


# --------------------------------------------------------------------------------------------------------------


STEPS = (
    ("100 greenlets, one connection", many_greenlets_share_one_connection),
    ("max_connections=1, and a redirect from A to B", a_redirect_gets_through_a_pool_of_one),
    ("Ten greenlets keep A busy, one asks B", a_busy_origin_does_not_starve_another),
    ("The reaper closes what is idle", the_reaper_closes_what_is_idle),
)


def main() -> None:
    began = monotonic()
    certificates = Certificates()
    trust = certificates.for_client()
    with Origin("A", certificates) as a, Origin("B", certificates) as b:
        print(f"Two HTTP/2 origins in this process: A is {a.url}, B is {b.url}")
        for number, (title, step) in enumerate(STEPS, 1):
            a.visits.clear()
            b.visits.clear()
            print(f"\n{number}. {title}")
            try:
                step(a, b, trust)
            except (Unexpected, greenh2.HTTPError) as error:
                sys.exit(f"\nStep {number} failed: {type(error).__name__}: {error}")
    print(f"\nAll four steps did what they say, in {monotonic() - began:.1f} s.")


if __name__ == "__main__":
    main()
