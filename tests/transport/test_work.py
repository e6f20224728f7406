"""What a request costs, counted and not timed: calls, switches of greenlets, system calls, and what stays behind.

The bounds are a little above what was counted when they were set.  Whoever must raise one knows what it is for.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import gevent
import greenlet
from gevent.monkey import get_original

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

PACKAGE = str(Path(greenh2.__file__).parent)
#: What is counted beside the methods of sockets: functions of the package, and switches between greenlets.
CALLS, SWITCHES = "calls", "switches"


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count what all greenlets of this thread do meanwhile."""
    counted: Counter[str] = Counter()
    of_sockets = get_original("socket", "socket")

    def look(frame: FrameType, event: str, what: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            counted[CALLS] += 1
        elif event == "c_call" and isinstance(getattr(what, "__self__", None), of_sockets):
            counted[getattr(what, "__name__", "")] += 1

    def switched(event: str, _: object) -> None:
        counted[SWITCHES] += event == "switch"

    before = sys.getprofile()
    tracing = greenlet.settrace(switched)
    sys.setprofile(look)
    try:
        yield counted
    finally:
        sys.setprofile(before)
        greenlet.settrace(tracing)


def crowd(greenlets: int, times: int, job: Callable[[], object]) -> None:
    def work() -> None:
        for _ in range(times):
            job()

    gevent.joinall([gevent.spawn(work) for _ in range(greenlets)], raise_error=True)


@BOTH
def test_one_request_after_another_takes_few_calls_and_switches(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    client, url = make_client(), origin(alpn=alpn).url
    for _ in range(3):
        client.get(url)
    with counting() as counted:
        for _ in range(50):
            client.get(url)
    assert counted["send"] == 50
    # One tells whether the connection is still alive, another brings the answer; its body may come a moment later.
    assert counted["recv"] <= 3.1 * 50
    assert counted[SWITCHES] <= 4.3 * 50
    assert counted[CALLS] <= 370 * 50


def test_many_greenlets_share_their_trips_to_the_kernel(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    client, url = make_client(), origin().url
    crowd(64, 1, lambda: client.get(url))
    with counting() as counted:
        crowd(64, 20, lambda: client.get(url))
    requests = 64 * 20
    assert counted["send"] <= requests / 4
    assert counted["recv"] <= requests / 2
    assert counted[SWITCHES] <= 4.3 * requests
    assert counted[CALLS] <= 270 * requests


def test_a_dial_that_begins_or_ends_wakes_none_of_those_who_wait_for_a_stream(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client(limits=8, timeout=30.0)
    with counting() as counted:
        crowd(200, 1, lambda: client.get(server.url))
    assert len(server.stats().connections) == 8
    assert counted[SWITCHES] <= 10 * 200  # there and back: for the stream, for the answer, and twice for most


@BOTH
def test_nothing_of_a_request_stays_behind(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    client, url = make_client(), origin(alpn=alpn).url
    kept: list[int] = []
    for _ in range(5):
        crowd(10, 50, lambda: client.get(url))
        gc.collect()
        kept.append(sys.getallocatedblocks())
    assert kept[-1] - kept[1] <= 500  # of 1,500 requests
