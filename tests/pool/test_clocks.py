"""The two clocks of a wait: what passes while a dial serves it is connect time, everything else is pool time."""

import time
from collections.abc import Iterator

import gevent
import pytest

import greenh2
from greenh2._models.timeouts import Deadline
from greenh2._net.dns import Address
from greenh2._net.dns import resolve as look_up
from tests.support.certificates import Certificates
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import PREFACE, RawServers


def test_who_waited_for_the_word_of_a_connection_that_is_evicted_waits_for_a_place_from_then_on(
    raw_server: RawServers, origin: OriginFactory, make_client: MakeClient
) -> None:
    silent, other = raw_server(), origin()
    client = make_client(limits=1, timeout=30.0)
    first = gevent.spawn(client.get, silent.url)
    peer = silent.accept()
    peer.read_until(PREFACE)
    peer.expect_request()
    older = gevent.spawn(client.get, f"{other.url}/stall")
    gevent.sleep(0)
    waiting = gevent.spawn(client.get, silent.url, timeout=greenh2.Timeout(30.0, pool=0.3))
    gevent.sleep(0)
    first.kill()  # its connection is idle now, and has not said how many streams it allows
    waiting.join(timeout=10.0)
    assert isinstance(waiting.exception, greenh2.PoolTimeout)
    older.kill()


def test_a_dial_that_ends_as_early_before_the_total_as_timers_may_ends_by_the_total() -> None:
    now = 0.0

    def resolve(_host: str, _port: int) -> list[Address]:
        nonlocal now
        now = 9.998
        raise greenh2.ConnectTimeout("the name was not found in time")

    deadline = Deadline(greenh2.Timeout(20.0, total=10.0), clock=lambda: now)
    with greenh2.HTTPTransport() as transport:
        transport._dialer.resolver = resolve
        request = greenh2.Request("GET", "http://a.example/", extensions={"deadline": deadline})
        with pytest.raises(greenh2.TotalTimeout, match="the name was not found in time"):
            transport.handle_request(request)


@pytest.fixture
def busy(origin: OriginFactory) -> Iterator[tuple[greenh2.HTTPTransport, str]]:
    """A transport, and the URL of an origin to which its one connection is in use for as long as the test takes."""
    server = origin(alpn=("http/1.1",), tls=False)
    with greenh2.HTTPTransport() as transport:
        response = transport.handle_request(greenh2.Request("GET", f"{server.url}/stall-body"))
        yield transport, server.url
        response.close()


def test_dials_of_its_own_that_fail_slowly_take_no_more_than_the_connect_timeout(
    busy: tuple[greenh2.HTTPTransport, str],
) -> None:
    transport, url = busy
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[Address]:
        asked.append(host)
        gevent.sleep(0.4)
        raise greenh2.ConnectError("the name was not found")

    transport._dialer.resolver = resolve
    timeout = greenh2.Timeout(30.0, connect=0.6, pool=2.0)
    with pytest.raises(greenh2.ConnectTimeout):
        transport.handle_request(greenh2.Request("GET", url, extensions={"timeout": timeout}))
    assert len(asked) <= 2


def test_who_has_no_time_left_to_dial_again_is_told_how_long_it_has_tried(
    busy: tuple[greenh2.HTTPTransport, str],
) -> None:
    transport, url = busy

    def resolve(_host: str, _port: int) -> list[Address]:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:  # and nothing else runs
            pass
        raise greenh2.ConnectError("the name was not found")

    transport._dialer.resolver = resolve
    timeout = greenh2.Timeout(30.0, connect=0.2, pool=2.0)
    with pytest.raises(greenh2.ConnectTimeout, match=rf"no connection to {url} within (0\.[4-9]|[1-9])"):
        transport.handle_request(greenh2.Request("GET", url, extensions={"timeout": timeout}))


def test_a_dial_that_is_killed_does_not_undo_the_caution_that_another_has_taught(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(alpn=("http/1.1",))
    client = make_client(limits=greenh2.Limits(fairness_delay=60.0), timeout=30.0)
    first = gevent.spawn(client.get, server.url)
    peer = server.accept()
    peer.read_until(b"\r\n\r\n")
    waiting, killed = [gevent.spawn(client.get, server.url) for _ in range(2)]
    refused, _ = server.accept_tcp(), server.accept_tcp()
    refused.close()
    with gevent.Timeout(10):
        while "1 being made" not in client.dump():
            gevent.sleep(0.005)
    killed.kill()
    assert "1 open, 0 being made" in client.dump()
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert [job.get(timeout=10).text for job in (first, waiting)] == ["ok", "ok"]


def test_a_dial_that_failed_long_ago_keeps_no_request_from_dialing(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server, away = origin(alpn=("http/1.1",)), True

    def resolve(host: str, port: int) -> list[Address]:
        if away:
            raise greenh2.ConnectError("the name was not found")
        return look_up(host, port)

    limits = greenh2.Limits(fairness_delay=60.0)
    with greenh2.HTTPTransport(verify=certificates.ca_file, limits=limits) as transport:
        response = transport.handle_request(greenh2.Request("GET", f"{server.url}/stall-body"))
        transport._dialer.resolver = resolve
        timeout = greenh2.Timeout(30.0, pool=0.3)
        with pytest.raises(greenh2.PoolTimeout):
            transport.handle_request(greenh2.Request("GET", server.url, extensions={"timeout": timeout}))
        away = False
        timeout = greenh2.Timeout(30.0, pool=2.0)
        later = transport.handle_request(greenh2.Request("GET", server.url, extensions={"timeout": timeout}))
        assert later.read() == b"hello\n"
        response.close()
