"""The stories greenh2 was made for: origins that share few places, against real HTTP/2 and HTTP/1.1 servers."""

import gc
import time

import gevent
import pytest
from gevent.monkey import get_original

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@BOTH
@pytest.mark.parametrize("expiry", [5.0, None])
def test_a_redirect_to_another_origin_gets_through_a_pool_of_one(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...], expiry: float | None
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    limits = greenh2.Limits(max_connections=1, keepalive_expiry=expiry)
    client = make_client(limits=limits, follow_redirects=True)
    for _ in range(3):
        response = client.get(f"{first.url}/redirect?to={second.url}/bytes/100")
        assert len(response.content) == 100
        assert client.get(first.url).text == "hello\n"


@BOTH
def test_two_hundred_greenlets_and_six_origins_share_two_connections(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    origins = [origin(alpn=alpn) for _ in range(6)]
    client = make_client(limits=2, timeout=30.0)

    def work(number: int) -> None:
        assert client.get(f"{origins[number % 6].url}/bytes/{number}").content[:1] == b"\0"[: number > 0]

    gevent.joinall([gevent.spawn(work, number) for number in range(200)], raise_error=True)


def test_an_origin_kept_busy_without_a_gap_does_not_starve_another(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    busy, other = origin(), origin()
    client = make_client(limits=1)
    stop: list[bool] = []

    def keep_busy() -> None:
        while not stop:
            client.get(f"{busy.url}/sleep/0.02")

    workers = [gevent.spawn(keep_busy) for _ in range(20)]
    try:
        gevent.sleep(0.2)
        started = time.monotonic()
        assert client.get(other.url).text == "hello\n"
        waited = time.monotonic() - started
    finally:
        stop.append(True)
        gevent.joinall(workers, raise_error=True)
    assert waited < 3.0


def test_places_that_are_all_wanted_change_hands_one_in_five_at_a_time(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    origins, delay = [origin() for _ in range(10)], 0.1
    client = make_client(limits=greenh2.Limits(max_connections=5, fairness_delay=delay), timeout=30.0)
    stop: list[bool] = []

    def keep_busy(url: str) -> None:
        while not stop:
            client.get(url)
            get_original("time", "sleep")(0.0003)  # patched, it would let the connection rest

    workers = [gevent.spawn(keep_busy, server.url) for server in origins for _ in range(20)]
    started = time.monotonic()
    try:
        gevent.sleep(2.0)
        made = sum(len(server.stats().connections) for server in origins)
        periods = (time.monotonic() - started) / delay
    finally:
        stop.append(True)
        gevent.joinall(workers, raise_error=True)
    assert 5 < made <= 5 + periods + 1


def test_a_hundred_first_requests_make_one_connection(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(handshake_delay=0.05)
    client = make_client()
    gevent.joinall(
        [gevent.spawn(client.get, f"{server.url}/sleep/0.05") for _ in range(100)], raise_error=True
    )
    assert len(server.stats().connections) == 1


def test_when_alpn_says_http_1_1_the_rest_dial_at_once(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(alpn=("http/1.1",))
    client = make_client()
    started = time.monotonic()
    gevent.joinall([gevent.spawn(client.get, f"{server.url}/sleep/1") for _ in range(10)], raise_error=True)
    assert time.monotonic() - started < 5.0
    assert len(server.stats().connections) == 10


def test_a_stream_held_open_lets_the_same_greenlet_use_the_same_origin(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    with client.stream("GET", f"{server.url}/bytes/100000") as response:
        assert client.get(server.url).text == "hello\n"
        assert len(response.read()) == 100000


@BOTH
def test_a_greenlet_that_holds_every_place_itself_is_told_so(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1, timeout=greenh2.Timeout(5.0, pool=0.3))
    with client.stream("GET", f"{first.url}/bytes/3000000") as response:
        with pytest.raises(greenh2.PoolTimeout) as caught:
            client.get(second.url)
        text = str(caught.value)
        assert f"GET {second.url}" in text
        assert f"GET {first.url}/bytes/3000000" in text
        assert "max_connections=1" in text
        assert "this greenlet itself holds 1 response" in text
        response.read()
    assert client.get(second.url).text == "hello\n"


@BOTH
def test_a_greenlet_that_would_wait_for_itself_for_ever_is_told_so_at_once(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1, timeout=None)
    with client.stream("GET", f"{first.url}/bytes/50000000"):
        with pytest.raises(greenh2.PoolTimeout, match="this greenlet itself"):
            client.get(second.url)


@BOTH
def test_who_waits_for_what_only_the_collector_could_free_does_not_wait_for_ever(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1, timeout=None)

    def leave_behind() -> None:
        response = client.send(client.build_request("GET", f"{first.url}/bytes/50000000"), stream=True)
        cycle: list[object] = [response]
        cycle.append(cycle)

    gc.disable()  # as if nothing else happened, so that it had no reason to run
    try:
        with pytest.warns(ResourceWarning, match="dropped without being read"):
            gevent.spawn(leave_behind).join()
            assert gevent.spawn(client.get, second.url).get(timeout=10).text == "hello\n"
    finally:
        gc.enable()


@BOTH
def test_greenlets_that_wait_for_each_other_for_ever_are_told_so(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    servers = [origin(alpn=alpn) for _ in range(4)]
    client = make_client(limits=2, timeout=None)

    def hold_and_ask(number: int) -> bool:
        try:
            with client.stream("GET", f"{servers[number].url}/bytes/50000000"):
                gevent.sleep(0.05)
                client.get(servers[number + 2].url)
        except greenh2.PoolTimeout:
            return False
        return True

    assert sorted(job.get() for job in [gevent.spawn(hold_and_ask, number) for number in range(2)]) == [
        False,
        True,
    ]


@BOTH
def test_the_reaper_closes_what_is_idle_without_any_request(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=greenh2.Limits(keepalive_expiry=0.3))
    started = time.monotonic()
    client.get(server.url)
    server.wait_until(lambda stats: not stats.open)
    assert time.monotonic() - started > 0.25


@BOTH
def test_a_killed_holder_gives_its_place_back(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    first, second = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1)
    holders = [gevent.spawn(client.get, f"{first.url}/stall") for _ in range(5)]
    gevent.sleep(0.1)
    gevent.killall(holders)
    assert client.get(second.url).text == "hello\n"


def test_many_kills_on_one_connection_leave_it_in_use(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(max_concurrent_streams=10)
    client = make_client(limits=1)
    client.get(server.url)
    for number in range(1, 11):
        holders = [gevent.spawn(client.get, f"{server.url}/stall") for _ in range(15)]
        server.wait_until(lambda stats: stats.connections[0].open_streams == 10)
        gevent.killall(holders)
        server.wait_until(lambda stats, number=number: len(stats.resets) == 10 * number)  # type: ignore[misc]
    assert client.get(server.url).text == "hello\n"
    assert len(server.stats().connections) == 1


def test_responses_left_unread_do_not_stall_their_siblings(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    for _ in range(30):
        with client.stream("GET", f"{server.url}/bytes/1000000") as response:
            next(response.iter_raw())
    held = [
        client.send(client.build_request("GET", f"{server.url}/bytes/3000000"), stream=True)
        for _ in range(12)
    ]
    assert len(client.get(f"{server.url}/bytes/3000000").content) == 3000000
    for response in held:
        assert len(response.read()) == 3000000


def test_the_pool_timeout_covers_the_wait_for_a_stream(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=1)
    client = make_client(limits=1, timeout=greenh2.Timeout(None, pool=0.3, connect=5.0))
    client.get(server.url)
    holder = gevent.spawn(client.get, f"{server.url}/stall")
    gevent.sleep(0.05)
    started = time.monotonic()
    with pytest.raises(greenh2.PoolTimeout):
        client.get(server.url)
    assert 0.25 < time.monotonic() - started < 3.0
    holder.kill()
    assert client.get(server.url).text == "hello\n"


def test_one_streams_timeout_is_its_own(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    slow = gevent.spawn(client.get, f"{server.url}/sleep/1.5", timeout=10.0)
    drip = gevent.spawn(client.get, f"{server.url}/drip/20/0.08", timeout=10.0)
    with pytest.raises(greenh2.ReadTimeout):
        client.get(f"{server.url}/stall", timeout=0.3)
    assert not slow.ready()
    assert not drip.ready()
    gevent.joinall([slow, drip], raise_error=True)
    assert len(server.stats().connections) == 1


def test_the_total_timeout_ends_a_body_that_drips(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client(timeout=greenh2.Timeout(5.0, total=0.4))
    started = time.monotonic()
    with pytest.raises(greenh2.TotalTimeout):
        client.get(f"{server.url}/drip/100/0.05")
    assert time.monotonic() - started < 3.0


def test_gevent_wait_returns_with_idle_connections(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    started = time.monotonic()
    gevent.wait(timeout=10)
    assert time.monotonic() - started < 5.0


def test_closing_the_client_wakes_everybody_with_an_error(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=2)
    client = make_client(limits=1, timeout=None)
    client.get(server.url)
    requests = [gevent.spawn(client.get, f"{server.url}/stall") for _ in range(6)]
    gevent.sleep(0.1)
    client.close()
    client.close()
    gevent.joinall(requests, timeout=5)
    assert [type(request.exception) for request in requests] == [greenh2.CloseError] * 6


@BOTH
def test_a_large_upload_arrives_whole(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    body = bytes(range(256)) * 20000
    assert client.post(f"{server.url}/echo", content=body).content == body
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    assert client.post(f"{server.url}/echo", content=pieces).content == body


def test_the_limit_of_streams_opens_a_second_connection(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(max_concurrent_streams=10)
    client = make_client(limits=3)
    gevent.joinall([gevent.spawn(client.get, f"{server.url}/sleep/0.2") for _ in range(60)], raise_error=True)
    assert len(server.stats().connections) == 3


@BOTH
def test_an_answer_that_came_while_the_hub_was_held_up_is_not_late(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    client.get(server.url)
    job = gevent.spawn(client.get, f"{server.url}/sleep/0.2", timeout=1.0)
    gevent.sleep(0.05)
    get_original("time", "sleep")(1.1)  # the whole process stands still
    assert job.get().status_code == 200


def test_a_lone_greenlet_that_never_pauses_does_not_starve_another_origin(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    busy, other = origin(alpn=("http/1.1",)), origin(alpn=("http/1.1",))
    client = make_client(limits=1)
    stop: list[bool] = []

    def loop() -> None:
        while not stop:
            client.get(busy.url)

    job = gevent.spawn(loop)
    try:
        gevent.sleep(0.1)
        assert client.get(other.url, timeout=5.0).text == "hello\n"
    finally:
        stop.append(True)
        job.get()


def test_a_long_answer_does_not_take_its_own_origin_out_of_service(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=1)
    with client.stream("GET", f"{server.url}/drip/1000/0.01"):
        waiting = gevent.spawn(client.get, other.url, timeout=greenh2.Timeout(5.0, pool=1.5))
        gevent.sleep(0.2)
        for _ in range(3):
            assert client.get(server.url, timeout=greenh2.Timeout(5.0, pool=1.2)).text == "hello\n"
        waiting.join()
        assert isinstance(waiting.exception, greenh2.PoolTimeout)


@BOTH
def test_closing_a_response_wakes_the_greenlet_that_reads_it(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(timeout=None)
    response = client.send(client.build_request("GET", f"{server.url}/stall-body"), stream=True)
    reader = gevent.spawn(response.read)
    gevent.sleep(0.05)
    response.close()
    reader.join(timeout=5)
    assert isinstance(reader.exception, greenh2.StreamClosed)


def test_many_idle_connections_are_closed_without_recursion(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(alpn=("http/1.1",))
    limits = greenh2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
    client = make_client(limits=limits, timeout=30.0)
    gevent.joinall([gevent.spawn(client.get, f"{server.url}/sleep/1") for _ in range(250)], raise_error=True)
    assert "Connections: 250 open" in client.dump()
    client._transport.retire()  # type: ignore[union-attr]
    gevent.sleep(0)
    assert "Connections: 0 open" in client.dump()
