"""Idle connections: how many are kept, for how long, and what they notice."""

import gc
import time
import weakref

import gevent

import greenh2
from tests.support.certificates import Certificates
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


def test_the_least_recently_used_idle_connection_makes_room(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    servers = [origin() for _ in range(3)]
    client = make_client(limits=2)
    for number in (0, 1, 0, 2):
        client.get(servers[number].url)
    servers[1].wait_until(lambda stats: not stats.open)
    assert [len(server.stats().open) for server in servers] == [1, 0, 1]


@BOTH
def test_only_idle_connections_count_as_kept_alive(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    busy = [origin(alpn=alpn) for _ in range(3)]
    server = origin(alpn=alpn)
    client = make_client(limits=greenh2.Limits(max_connections=10, max_keepalive_connections=1))
    held = [client.send(client.build_request("GET", f"{one.url}/bytes/3000000"), stream=True) for one in busy]
    for _ in range(5):
        client.get(server.url)
    assert len(server.stats().connections) == 1
    for response in held:
        response.read()
    with gevent.Timeout(5):
        while "Connections: 1 open" not in client.dump():
            gevent.sleep(0.001)


def test_none_need_be_kept_at_all(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(max_keepalive_connections=0))
    for _ in range(3):
        client.get(server.url)
    server.wait_until(lambda stats: not stats.open)
    assert len(server.stats().connections) == 3


@BOTH
def test_an_idle_connection_that_the_peer_closed_is_noticed_before_anybody_wants_it(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=greenh2.Limits(keepalive_expiry=None))
    client.get(server.url)
    server.hang_up()
    with gevent.Timeout(5):  # the reaper looks every half second
        while "Connections: 0 open" not in client.dump():
            gevent.sleep(0.01)


@BOTH
def test_an_idle_connection_that_was_closed_is_never_used(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn, idle_close=0.15, idle_goaway=False)
    client = make_client()
    for _ in range(4):
        assert client.post(server.url, content=b"x").status_code == 200
        server.wait_until(lambda stats: not stats.open)


def test_an_idle_connection_is_not_kept_beyond_its_expiry_even_without_the_reaper(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=0.1))
    client.get(server.url)
    time.sleep(0.2)  # the whole hub stands still, the reaper too
    client.get(server.url)
    assert len(server.stats().connections) == 2


def test_an_old_connection_is_replaced(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(max_connection_age=1.0))
    client.get(server.url)
    client.get(server.url)
    assert len(server.stats().connections) == 1
    gevent.sleep(1.05)
    client.get(server.url)
    assert len(server.stats().connections) == 2


def test_a_busy_connection_that_grows_old_takes_no_more_and_loses_nothing(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(max_connection_age=0.3))

    def work() -> None:
        for _ in range(20):
            assert client.get(f"{server.url}/sleep/0.05").status_code == 200

    started = time.monotonic()
    gevent.joinall([gevent.spawn(work) for _ in range(4)], raise_error=True)
    most = (time.monotonic() - started) / 0.3 + 1
    assert 3 <= len(server.stats().connections) <= most


def test_a_client_that_nobody_refers_to_gives_back_sockets_and_greenlets(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin()
    client = greenh2.Client(verify=certificates.ca_file)
    client.get(server.url)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    gevent.sleep(0)
    server.wait_until(lambda stats: not stats.open)


def test_the_reaper_says_goodbye(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=0.1))
    client.get(server.url)
    stats = server.wait_until(lambda stats: not stats.open)
    assert stats.connections[0].goaway == 0


def test_the_reaper_ends_with_the_last_idle_connection(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=None))
    client.get(server.url)
    gevent.idle()
    assert len(reapers()) == 1
    server.hang_up()
    with gevent.Timeout(10):
        while reapers():
            gevent.sleep(0.05)


def reapers() -> list[object]:
    return [
        one
        for one in gc.get_objects()
        if isinstance(one, gevent.Greenlet) and not one.dead and "reaper" in repr(one)
    ]
