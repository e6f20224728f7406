"""One client, several native threads: each has a hub, a pool and connections of its own."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeVar

import gevent
import pytest
from gevent.hub import Hub
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

import greenh2
from greenh2._net import sessions
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory
from tests.support.scale import scaled

T = TypeVar("T")
start_native_thread = get_original("_thread", "start_new_thread")


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        gevent.sleep(0.005)


class Threads(ThreadPool):
    """Native threads that note which hubs they had."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.hubs: set[Hub] = set()

    def spawn(self, job: Callable[..., Any], *arguments: object) -> Any:  # type: ignore[override]  # all it has to do here
        return super().spawn(self._run, job, *arguments)

    def _run(self, job: Callable[..., object], *arguments: object) -> object:
        self.hubs.add(gevent.get_hub())
        return job(*arguments)


@pytest.fixture
def threads() -> Iterator[ThreadPool]:
    """Six native threads, which have ended when the test has, and their hubs with them."""
    pool = Threads(6)
    yield pool
    assert pool.hubs
    pool.kill()
    # libuv's loops end no sooner than one of their timers, as that of idle connections, has its turn.
    wait_for(lambda: all(hub.dead for hub in pool.hubs))


def in_another_thread(job: Callable[[], T]) -> T:
    """Run a job in a native thread that has no hub, and return what it returns."""
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(job())
        except Exception as exc:
            failed.append(exc)

    before = len(sys._current_frames())
    start_native_thread(run, ())
    wait_for(lambda: bool(done or failed) and len(sys._current_frames()) <= before)
    if failed:
        raise failed[0]
    return done[0]


@BOTH
def test_six_threads_share_a_client(
    origin: OriginFactory, make_client: MakeClient, threads: ThreadPool, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()

    def work(number: int) -> int:
        for size in range(scaled(40, 1700)):
            assert len(client.get(f"{server.url}/bytes/{size * number}").content) == size * number
        return number

    assert sorted(threads.map(work, range(1, 7))) == list(range(1, 7))
    assert client.get(server.url).text == "hello\n"


def test_each_thread_takes_up_sessions_of_its_own(
    origin: OriginFactory, make_client: MakeClient, threads: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_read", count())  # what earlier tests have read does not count
    server = origin()
    client = make_client(limits=greenh2.Limits(max_keepalive_connections=0))

    def resumed() -> bool:
        return bool(client.get(server.url).extensions["connection_info"]["tls_resumed"])

    assert [resumed(), threads.apply(resumed), resumed()] == [False, False, True]


def test_the_connections_of_a_thread_that_has_ended_are_freed(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=None))
    ended: list[bool] = []

    def thread() -> None:
        try:
            client.get(server.url)
        finally:
            gevent.get_hub().destroy()
            ended.append(True)

    before = len(sys._current_frames())
    start_native_thread(thread, ())
    wait_for(lambda: bool(ended) and len(sys._current_frames()) <= before)
    client.get(server.url)
    server.wait_until(lambda stats: len(stats.open) == 1)
    assert client.dump().count("Connections: 1 open") == 1


def test_closing_in_one_thread_wakes_the_requests_of_another(
    origin: OriginFactory, make_client: MakeClient, threads: ThreadPool
) -> None:
    server = origin()
    client = make_client(timeout=None)

    def stall() -> type[BaseException] | None:
        try:
            client.get(f"{server.url}/stall")
        except greenh2.CloseError as exc:
            return type(exc)
        return None

    job = threads.spawn(stall)
    server.wait_until(lambda stats: bool(stats.requests))
    client.close()
    assert job.get(timeout=10) is greenh2.CloseError


def test_a_transport_that_another_thread_closes_before_its_pool_is_there_sends_nothing(
    origin: OriginFactory,
) -> None:
    class Interrupted(greenh2.Limits):
        """Limits at which another thread has its turn, when a pool is about to be made of them."""

        def __getattribute__(self, name: str) -> Any:
            if name == "max_connections" and transports:
                in_another_thread(transports.pop().close)
            return super().__getattribute__(name)

    transports: list[greenh2.HTTPTransport] = []
    server = origin()
    transport = greenh2.HTTPTransport(limits=Interrupted())
    transports.append(transport)
    with pytest.raises(greenh2.CloseError):
        transport.handle_request(greenh2.Request("GET", server.url))
    assert not transports
    assert not server.stats().connections


@pytest.mark.skipif(
    os.environ.get("GEVENT_LOOP", "").startswith("libuv"),
    reason="gevent's destroy() does not return in a thread whose libuv loop has a running watcher",
)
def test_a_thread_may_destroy_its_hub_and_go_on(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client(timeout=None)
    results: list[object] = []

    def thread() -> None:
        try:
            unread = client.send(client.build_request("GET", f"{server.url}/bytes/5000000"), stream=True)
            pieces = unread.iter_bytes()
            next(pieces)
            closed = client.send(client.build_request("GET", f"{server.url}/bytes/5000000"), stream=True)
            gevent.get_hub().destroy()
            closed.close()
            results.append(client.get(server.url).text)
            with pytest.raises(greenh2.ReadError, match="hub destroyed"):
                for _ in pieces:
                    pass
            gevent.get_hub().destroy()
            client.close()
        except BaseException as exc:
            results.append(exc)
        finally:
            gevent.get_hub().destroy()
            results.append("ended")

    before = len(sys._current_frames())
    start_native_thread(thread, ())
    wait_for(lambda: "ended" in results and len(sys._current_frames()) <= before)
    assert results == ["hello\n", "ended"]


@BOTH
def test_a_body_that_is_still_arriving_is_read_in_its_own_thread_or_not_at_all(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(timeout=None)
    with client.stream("GET", f"{server.url}/bytes/5000000") as response:
        with pytest.raises(greenh2.StreamError, match="another native thread"):
            in_another_thread(response.read)
    assert client.get(server.url).text == "hello\n"


@BOTH
def test_a_body_that_has_arrived_is_read_in_any_thread(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    with client.stream("GET", f"{server.url}/bytes/1000") as response:
        wait_for(lambda: "0 streams" in repr(client))
        assert len(in_another_thread(response.read)) == 1000
    assert client.get(server.url).text == "hello\n"


@BOTH
def test_a_response_may_be_closed_in_another_thread(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=1)
    response = client.send(client.build_request("GET", f"{server.url}/bytes/5000000"), stream=True)
    in_another_thread(response.close)
    assert client.get(server.url).text == "hello\n"
