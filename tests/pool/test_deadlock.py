"""Requests without time limits that wait for each other at the bound of one origin, while the pool has places left."""

import gc

import gevent
import pytest
from gevent.event import Event

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

ONE_EACH = greenh2.Limits(max_connections_per_origin=1)
NEVER_DONE = "bytes/50000000"


@BOTH
def test_a_greenlet_that_waits_for_what_it_holds_of_an_origin_is_told_so_at_once(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn, max_concurrent_streams=1)
    client = make_client(limits=ONE_EACH, timeout=None)
    with gevent.Timeout(10.0), client.stream("GET", f"{server.url}/{NEVER_DONE}"):
        with pytest.raises(greenh2.PoolTimeout, match="this greenlet itself") as caught:
            client.get(server.url)
    assert "max_connections_per_origin=1" in str(caught.value)
    assert client.get(server.url).text == "hello\n"


@BOTH
def test_it_is_told_so_whatever_goes_on_with_other_origins(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server, other = origin(alpn=alpn, max_concurrent_streams=1), origin(alpn=alpn)
    client = make_client(limits=ONE_EACH, timeout=None)
    slow = gevent.spawn(client.get, f"{other.url}/sleep/30")
    try:
        with gevent.Timeout(10.0), client.stream("GET", f"{server.url}/{NEVER_DONE}"):
            with pytest.raises(greenh2.PoolTimeout, match="this greenlet itself"):
                client.get(server.url)
        assert not slow.ready()
    finally:
        slow.kill()


@BOTH
def test_of_two_that_hold_what_the_other_wants_one_is_told_and_the_other_goes_on(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    servers = [origin(alpn=alpn, max_concurrent_streams=1) for _ in range(2)]
    client = make_client(limits=ONE_EACH, timeout=None)
    both_hold = [Event(), Event()]

    def hold_and_ask(number: int) -> bool:
        try:
            with client.stream("GET", f"{servers[number].url}/{NEVER_DONE}"):
                both_hold[number].set()
                both_hold[1 - number].wait()
                client.get(servers[1 - number].url)
        except greenh2.PoolTimeout:
            return False
        return True

    jobs = [gevent.spawn(hold_and_ask, number) for number in range(2)]
    assert sorted(job.get(timeout=10.0) for job in jobs) == [False, True]


@BOTH
def test_who_waits_for_one_that_waits_for_one_at_work_waits_on(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = (origin(alpn=alpn, max_concurrent_streams=1) for _ in range(2))
    client = make_client(limits=ONE_EACH, timeout=None)
    holds = Event()

    def hold_and_ask() -> str:
        with client.stream("GET", f"{first.url}/{NEVER_DONE}"):
            holds.set()
            return client.get(second.url).text

    working = gevent.spawn(client.get, f"{second.url}/sleep/0.6")  # several times the fairness_delay
    while second.url not in client.dump():
        gevent.sleep(0.001)
    between = gevent.spawn(hold_and_ask)
    assert holds.wait(10.0)
    last = gevent.spawn(client.get, first.url)
    assert working.get(timeout=10.0).text == "slept\n"
    assert between.get(timeout=10.0) == "hello\n"
    assert last.get(timeout=10.0).text == "hello\n"


@BOTH
def test_a_place_that_has_just_become_free_is_waited_for(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    held, working, wanted = (origin(alpn=alpn) for _ in range(3))
    client = make_client(limits=2, timeout=None)
    looks: list[str] = []

    def look(step: str, _facts: object) -> None:
        if step == "response.closed":
            (pool,) = client._transport._pools.values()  # type: ignore[union-attr]
            assert pool.contended
            pool._relief._tick()  # as when its time comes in this turn of the loop
            looks.append(step)

    with gevent.Timeout(10.0), client.stream("GET", f"{held.url}/{NEVER_DONE}"):
        working_on = gevent.spawn(client.get, f"{working.url}/sleep/0.5", extensions={"trace": look})
        while f"{working.url}/sleep" not in client.dump():
            gevent.sleep(0.001)
        assert client.get(wanted.url).text == "hello\n"
        working_on.get()
    assert looks


@BOTH
def test_a_response_that_another_greenlet_reads_is_waited_for(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1, timeout=None)
    response = client.send(client.build_request("GET", f"{first.url}/{NEVER_DONE}"), stream=True)

    def work() -> None:
        pieces = response.iter_bytes()
        next(pieces)
        gevent.sleep(0.4)  # several times the fairness_delay, in which it does something else
        response.close()

    worker = gevent.spawn(work)
    with gevent.Timeout(10.0):
        assert client.get(second.url).text == "hello\n"
    worker.get()


@BOTH
def test_what_only_the_collector_could_free_of_an_origin_is_found(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn, max_concurrent_streams=1)
    client = make_client(limits=ONE_EACH, timeout=None)

    def leave_behind() -> None:
        response = client.send(client.build_request("GET", f"{server.url}/{NEVER_DONE}"), stream=True)
        cycle: list[object] = [response]
        cycle.append(cycle)

    gc.disable()  # as if nothing else happened, so that it had no reason to run
    try:
        with pytest.warns(ResourceWarning, match="dropped without being read"), gevent.Timeout(10.0):
            gevent.spawn(leave_behind).join()
            assert client.get(server.url).text == "hello\n"
    finally:
        gc.enable()
