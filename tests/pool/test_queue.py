"""How requests wait: in order of arrival, for one dial or many, within their own time, and told why."""

import errno
import re
import socket
import time
from collections.abc import Iterator

import gevent
import pytest

import greenh2
from tests.support.certificates import Certificates
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that accepts connections, and says nothing on them."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else will."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@BOTH
def test_places_are_given_in_order_of_arrival_over_all_origins(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn, max_concurrent_streams=1), origin(alpn=alpn, max_concurrent_streams=1)
    client = make_client(limits=1)
    served: list[str] = []

    def ask(url: str, name: str) -> None:
        client.get(f"{url}/sleep/0.02")
        served.append(name)

    jobs = [gevent.spawn(ask, first.url, "a1")]
    gevent.sleep(0)
    names = ["b1", "a2", "b2", "a3", "b3"]
    jobs += [gevent.spawn(ask, first.url if name[0] == "a" else second.url, name) for name in names]
    gevent.joinall(jobs, raise_error=True)
    assert served == ["a1", *names]


def test_a_failed_dial_fails_everybody_who_waited_for_it(make_client: MakeClient, dead_port: int) -> None:
    client = make_client()
    jobs = [gevent.spawn(client.get, f"https://127.0.0.1:{dead_port}/") for _ in range(20)]
    gevent.joinall(jobs)
    assert {type(job.exception) for job in jobs} == {greenh2.ConnectError}
    assert len({id(job.exception) for job in jobs}) == 20
    assert "Connection refused" in str(jobs[0].exception) or str(errno.ECONNREFUSED) in str(jobs[0].exception)


def test_after_a_failed_dial_the_next_request_dials_afresh(
    origin: OriginFactory, make_client: MakeClient, dead_port: int
) -> None:
    client = make_client(limits=1)
    with pytest.raises(greenh2.ConnectError):
        client.get(f"https://127.0.0.1:{dead_port}/")
    with pytest.raises(greenh2.ConnectError):
        client.get(f"https://127.0.0.1:{dead_port}/")
    assert client.get(origin().url).text == "hello\n"


def test_everybody_who_waits_for_a_black_hole_gets_its_own_connect_timeout(
    make_client: MakeClient, mute_port: int
) -> None:
    client = make_client(timeout=greenh2.Timeout(5.0, connect=0.3, pool=0.5))
    started = time.monotonic()
    jobs = [gevent.spawn(client.get, f"https://127.0.0.1:{mute_port}/") for _ in range(10)]
    gevent.joinall(jobs)
    assert time.monotonic() - started < 2.0  # and not 0.3 s for each
    assert {type(job.exception) for job in jobs} == {greenh2.ConnectTimeout}


def test_a_follower_does_not_inherit_the_timeout_of_whoever_dialed(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(handshake_delay=0.4)
    client = make_client()
    impatient = gevent.spawn(client.get, server.url, timeout=greenh2.Timeout(5.0, connect=0.1))
    gevent.sleep(0)
    patient = gevent.spawn(client.get, server.url, timeout=greenh2.Timeout(5.0, connect=3.0))
    gevent.joinall([impatient, patient])
    assert isinstance(impatient.exception, greenh2.ConnectTimeout)
    assert patient.get().status_code == 200


def test_a_follower_with_less_patience_than_the_dial_leaves_alone(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(handshake_delay=1.5)
    client = make_client()
    patient = gevent.spawn(client.get, server.url, timeout=greenh2.Timeout(5.0, connect=3.0))
    gevent.sleep(0)
    impatient = gevent.spawn(client.get, server.url, timeout=greenh2.Timeout(5.0, connect=0.1))
    impatient.join()
    assert not patient.ready()
    assert isinstance(impatient.exception, greenh2.ConnectTimeout)
    assert patient.get().status_code == 200
    assert len(server.stats().connections) == 1


def test_a_killed_dialer_hands_the_dial_over(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(handshake_delay=0.2)
    client = make_client(limits=1)
    dialer = gevent.spawn(client.get, server.url)
    gevent.sleep(0)
    follower = gevent.spawn(client.get, server.url)
    gevent.sleep(0.05)
    dialer.kill()
    assert follower.get().text == "hello\n"


def test_no_pool_time_at_all_means_fail_at_once(origin: OriginFactory, make_client: MakeClient) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1, timeout=greenh2.Timeout(5.0, pool=0))
    assert client.get(server.url).text == "hello\n"
    with client.stream("GET", f"{server.url}/drip/3/0.1"):
        with pytest.raises(greenh2.PoolTimeout):
            client.get(other.url)


def test_the_total_timeout_bounds_the_wait_for_a_place(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1)
    with client.stream("GET", f"{server.url}/drip/20/0.1"):
        with pytest.raises(greenh2.TotalTimeout, match="GET https://"):
            client.get(other.url, timeout=greenh2.Timeout(5.0, total=0.2))


def test_a_pool_timeout_names_limits_holders_and_waiters(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1, timeout=greenh2.Timeout(10.0, pool=0.3))
    holders = [gevent.spawn(client.get, f"{server.url}/stall?secret=no") for _ in range(2)]
    server.wait_until(lambda stats: len(stats.requests) == 2)
    others = [gevent.spawn(client.get, f"https://user:hidden@{other.url[8:]}/x") for _ in range(3)]
    gevent.joinall(others)
    text = str(others[0].exception)
    assert re.search(r"waited 0\.[3-9]", text)
    assert "max_connections=1" in text
    assert f"{server.url} HTTP/2, 2 of 100 streams" in text
    assert text.count(f"GET {server.url}/stall") == 2
    assert "waiting for the response" in text
    assert "Greenlet" in text
    assert "Requests waiting: 3" in text
    assert "hidden" not in text
    assert "raise Limits(max_connections=...)" in text
    assert str(holders[0]).split(":")[0].strip("<") in text
    gevent.killall(holders)


def test_many_pool_timeouts_at_once_name_a_few_of_the_holders(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1, timeout=30.0)
    holders = [gevent.spawn(client.get, f"{server.url}/stall") for _ in range(100)]
    server.wait_until(lambda stats: len(stats.requests) == 100)
    timeout = greenh2.Timeout(30.0, pool=0.5)
    hasty = [gevent.spawn(client.get, server.url, timeout=timeout) for _ in range(200)]
    gevent.joinall(hasty)
    texts = [str(job.exception) for job in hasty]
    assert all(f"GET {server.url}" in text and "... and 90 more" in text for text in texts)
    assert max(map(len, texts)) < 4000
    told = {text.partition("\n")[2] for text in texts}
    assert len(told) < 100
    assert client.dump().count("/stall") == 100
    gevent.killall(holders)


def test_a_pool_timeout_counts_the_responses_that_nobody_reads(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1, timeout=greenh2.Timeout(10.0, pool=0.2))
    held: list[greenh2.Response] = []

    def hold() -> None:
        held.append(client.send(client.build_request("GET", f"{server.url}/bytes/3000000"), stream=True))

    gevent.joinall([gevent.spawn(hold) for _ in range(2)], raise_error=True)
    with pytest.raises(greenh2.PoolTimeout, match="2 responses were streamed and never closed"):
        client.get(other.url)
    for response in held:
        response.close()
    assert client.get(other.url).text == "hello\n"


def test_dump_tells_the_same_at_any_time(origin: OriginFactory, make_client: MakeClient) -> None:
    client = make_client()
    assert client.dump() == "No connections: nothing was sent yet."
    server = origin()
    client.get(server.url)
    text = client.dump()
    assert "Connections: 1 open, 0 being made, at most 100." in text
    assert f"{server.url} HTTP/2, 0 of 100 streams, 1 requests so far" in text
    assert "idle for" in text
    assert "1 connections, 0 streams, 0 waiting" in repr(client)


def test_dump_tells_no_password_though_a_greenlet_was_given_one(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    url = f"{server.url}/stall".replace("//", "//name:secret@")
    job = gevent.spawn(client.get, url)
    server.wait_until(lambda stats: len(stats.requests) == 1)
    with pytest.raises(greenh2.PoolTimeout) as caught:
        client.get(origin().url, timeout=greenh2.Timeout(5.0, pool=0.05))
    for text in client.dump(), str(caught.value):
        assert "Verbs.get" in text
        assert "secret" not in text
    job.kill()


def test_an_origin_may_be_bounded_by_itself(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(alpn=("http/1.1",))
    client = make_client(limits=greenh2.Limits(max_connections=10, max_connections_per_origin=2))
    gevent.joinall(
        [gevent.spawn(client.get, f"{server.url}/sleep/0.02") for _ in range(12)], raise_error=True
    )
    assert len(server.stats().connections) == 2


def test_the_pool_may_be_unbounded(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(alpn=("http/1.1",))
    client = make_client(limits=greenh2.Limits(max_connections=None, max_keepalive_connections=None))
    gevent.joinall([gevent.spawn(client.get, f"{server.url}/sleep/0.3") for _ in range(12)], raise_error=True)
    assert len(server.stats().connections) == 12
    assert "12 open, 0 being made, no limit" in client.dump()


def test_streams_on_a_connection_may_be_bounded_below_what_the_peer_allows(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(max_connections=4, max_streams_per_connection=5))
    gevent.joinall([gevent.spawn(client.get, f"{server.url}/sleep/0.6") for _ in range(20)], raise_error=True)
    assert len(server.stats().connections) == 4


def test_an_absent_limit_of_streams_is_no_limit(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(max_concurrent_streams=None)
    client = make_client()
    gevent.joinall(
        [gevent.spawn(client.get, f"{server.url}/sleep/0.6") for _ in range(150)], raise_error=True
    )
    (connection,) = server.stats().connections
    assert connection.most_open_streams > 120  # the first may be answered before the last are sent


def test_a_limit_of_zero_streams_is_waited_for_and_a_raised_one_wakes_the_waiters(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=10)
    client = make_client(limits=3)
    with client.stream("GET", f"{server.url}/stall-body"):
        server.settings(max_concurrent_streams=0)
        with gevent.Timeout(5):
            while "1 of 0 streams" not in client.dump():
                gevent.sleep(0.001)
        waiting = [gevent.spawn(client.get, server.url) for _ in range(5)]
        gevent.sleep(0.1)
        assert not any(job.ready() for job in waiting)
        server.settings(max_concurrent_streams=10)
        gevent.joinall(waiting, raise_error=True)
    assert len(server.stats().connections) == 1


def test_a_waiter_killed_in_the_queue_takes_nothing_with_it(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client(limits=1)
    first = gevent.spawn(client.get, f"{server.url}/sleep/0.2")
    gevent.sleep(0.1)
    waiting = [gevent.spawn(client.get, server.url) for _ in range(3)]
    gevent.sleep(0)
    waiting[0].kill()
    gevent.joinall([first, *waiting[1:]], raise_error=True)
    assert waiting[1].get().text == "hello\n"


def test_a_connection_told_to_drain_goes_on_when_its_place_is_no_longer_wanted(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1)
    long = gevent.spawn(client.get, f"{server.url}/sleep/2")
    gevent.sleep(0.05)
    with pytest.raises(greenh2.PoolTimeout):
        client.get(other.url, timeout=greenh2.Timeout(5.0, pool=0.25))
    assert client.get(server.url).text == "hello\n"
    assert not long.ready()
    long.get()
    assert len(server.stats().connections) == 1


def test_closing_the_client_ends_a_dial_that_leads_nowhere(make_client: MakeClient, mute_port: int) -> None:
    client = make_client(timeout=None)
    jobs = [gevent.spawn(client.get, f"https://127.0.0.1:{mute_port}/") for _ in range(3)]
    gevent.sleep(0.05)
    client.close()
    gevent.joinall(jobs, timeout=5)
    assert [type(job.exception) for job in jobs] == [greenh2.CloseError] * 3


def test_an_origin_that_cannot_be_reached_does_not_take_all_places_from_one_that_can(
    origin: OriginFactory, make_client: MakeClient, mute_port: int
) -> None:
    server = origin(alpn=("http/1.1",))
    timeout = greenh2.Timeout(5.0, connect=0.8, pool=4.0)
    client = make_client(limits=2, http2=False, timeout=timeout)
    enough: list[bool] = []

    def try_in_vain() -> None:
        while not enough:
            with pytest.raises(greenh2.TimeoutException):
                client.get(f"https://localhost:{mute_port}/")

    vain = [gevent.spawn(try_in_vain) for _ in range(30)]
    gevent.sleep(0.1)
    for _ in range(4):  # behind thirty, none of which gets anywhere
        assert client.get(server.url, timeout=greenh2.Timeout(5.0, pool=2.5)).text == "hello\n"
        gevent.sleep(0.05)
    enough.append(True)
    client.close()
    gevent.joinall(vain, timeout=5)


def test_after_the_dial_the_wait_goes_by_the_pool_timeout(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client(limits=1, timeout=greenh2.Timeout(5.0, connect=0.8, pool=5.0))
    jobs = [gevent.spawn(client.get, f"{server.url}/sleep/0.3") for _ in range(4)]
    gevent.joinall(jobs, raise_error=True)


def test_a_dial_without_bound_does_not_lift_the_pool_timeout(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client(limits=1, timeout=greenh2.Timeout(5.0, connect=None, pool=0.3))
    jobs = [gevent.spawn(client.get, f"{server.url}/sleep/1.5") for _ in range(3)]
    gevent.joinall(jobs[1:])
    assert not jobs[0].ready()
    assert {type(job.exception) for job in jobs[1:]} == {greenh2.PoolTimeout}
    jobs[0].get()


def test_a_second_connection_that_cannot_be_made_fails_nobody_whom_the_first_can_serve(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client()
    client.get(server.url)
    server.deafen()
    jobs = [gevent.spawn(client.get, f"{server.url}/sleep/0.1") for _ in range(4)]
    gevent.joinall(jobs, raise_error=True)
    assert len(server.stats().connections) == 1


def test_however_often_a_second_connection_cannot_be_made_the_request_waits_on(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    client = make_client(limits=greenh2.Limits(fairness_delay=0.001), timeout=None)
    client.get(server.url)
    long = gevent.spawn(client.get, f"{server.url}/sleep/2")
    server.wait_until(lambda stats: len(stats.requests) == 2)
    server.deafen()
    # Hundreds of attempts: one upon the other they would exceed what the interpreter stacks.
    assert gevent.spawn(client.get, server.url).get(timeout=20).text == "hello\n"
    assert long.get().text == "slept\n"
    assert len(server.stats().connections) == 1


def test_a_place_on_a_connection_that_ends_before_it_is_used_is_exchanged_for_another(
    origin: OriginFactory, certificates: Certificates
) -> None:
    url = origin().url
    limits = greenh2.Limits(max_connections=1, max_streams_per_connection=1)
    with greenh2.HTTPTransport(verify=certificates.ca_file, limits=limits) as transport:
        first = transport.handle_request(greenh2.Request("GET", f"{url}/stall-body"))
        second = gevent.spawn(transport.handle_request, greenh2.Request("GET", url))
        with gevent.Timeout(5):
            while "1 waiting" not in repr(transport):
                gevent.sleep(0.005)
        (pool,) = transport._pools.values()
        (connection,) = pool.connections
        first.close()  # the other has the place now, and has not run yet
        connection.close("the test wants it so")
        response = second.get(timeout=5)
        assert response.read() == b"hello\n"
