"""Connections that are dead though nothing says so: found out by PINGs, and not trusted once they are mute."""

import time

import gevent
import pytest
from h2.settings import SettingCodes
from hyperframe.frame import PingFrame

import greenh2
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers


def test_a_silent_connection_in_use_is_pinged_and_goes_on_if_that_is_answered(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(ping_interval=0.1, ping_timeout=5.0))
    assert client.get(f"{server.url}/sleep/1").status_code == 200
    assert server.stats().connections[0].pings >= 2


def test_nothing_is_pinged_unless_asked_for(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    make_client().get(f"{server.url}/sleep/0.4")
    assert server.stats().connections[0].pings == 0


def test_a_connection_that_answers_no_ping_fails_its_requests_at_once(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(ping_interval=0.1, ping_timeout=0.3), timeout=10.0)
    client.get(server.url)
    server.freeze()
    started = time.monotonic()
    jobs = [gevent.spawn(client.post, server.url, content=b"x") for _ in range(3)]
    gevent.joinall(jobs)
    assert time.monotonic() - started < 5.0
    assert {type(job.exception) for job in jobs} == {greenh2.ServerDisconnected}
    assert "PING" in str(jobs[0].exception)


def test_after_a_timeout_on_a_mute_connection_the_next_request_takes_another(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    client.get(server.url)
    server.freeze()
    with pytest.raises(greenh2.ReadTimeout):
        client.get(server.url, timeout=0.4)
    assert client.get(server.url).text == "hello\n"
    assert len(server.stats().connections) == 2


def test_after_an_upload_that_a_mute_connection_does_not_take_the_next_one_takes_another(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server()
    client = make_client(timeout=5.0)
    first = gevent.spawn(client.get, server.url)
    mute = server.accept()
    mute.greet()
    mute.answer(mute.expect_request().stream_id, 204)
    first.get()
    with pytest.raises(greenh2.WriteTimeout):
        client.post(server.url, content=bytes(100_000), timeout=greenh2.Timeout(5.0, write=0.2))
    job = gevent.spawn(client.put, server.url, content=bytes(10_000))
    other = server.accept()
    other.greet()
    other.answer(other.expect_request().stream_id, 204)
    assert job.get().status_code == 204


def test_a_ping_behind_an_upload_that_is_taken_slowly_is_waited_for(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    limits = greenh2.Limits(ping_interval=0.1, ping_timeout=1.5)
    client = make_client(limits=limits, http2="prior-knowledge")
    content = bytes(16 * 1024 * 1024)
    job = gevent.spawn(client.post, server.url, content=content)
    peer = server.accept()
    peer.greet({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    stream_id = peer.expect_request().stream_id
    peer.open_window(stream_id, 2**30)
    started = time.monotonic()
    left = len(content)
    while left > 0:
        pause = 3.0 * (1 - left / len(content)) - (time.monotonic() - started)
        gevent.sleep(pause if pause > 0.001 else 0)  # libuv knows no less
        taken = peer.read()
        assert taken, "the client has given the connection up"
        left -= len(taken)  # the frames' headers are over in the end
    peer.answer(stream_id, 204)
    assert job.get().status_code == 204


def test_a_connection_that_never_says_settings_does_not_keep_its_origin_to_itself(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server()
    client = make_client()
    hanging = gevent.spawn(client.get, server.url, timeout=None)
    server.accept()
    with pytest.raises(greenh2.ConnectTimeout):
        client.get(server.url, timeout=0.5)
    job = gevent.spawn(client.get, server.url, timeout=5.0)
    other = server.accept()
    other.greet()
    other.answer(other.expect_request().stream_id, 200, b"from the second")
    assert job.get().text == "from the second"
    hanging.kill()


def test_a_suspected_connection_that_answers_is_used_again(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    with pytest.raises(greenh2.ReadTimeout):
        client.get(f"{server.url}/stall", timeout=0.3)
    server.wait_until(lambda stats: stats.connections[0].pings == 1)
    gevent.sleep(0.6)  # the reaper looks at idle connections every half second
    assert client.get(server.url).text == "hello\n"
    assert len(server.stats().connections) == 1


def test_who_waits_for_a_suspected_connection_gets_it_when_it_answers(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server()
    client = make_client(limits=1, timeout=5.0)
    holding = gevent.spawn(client.get, server.url)
    peer = server.accept()
    peer.greet()
    first = peer.expect_request().stream_id
    late = gevent.spawn(client.get, server.url, timeout=greenh2.Timeout(5.0, read=0.2))
    peer.expect_request()
    ping = peer.expect(PingFrame)
    with pytest.raises(greenh2.ReadTimeout):
        late.get()
    waiting = gevent.spawn(client.get, server.url)
    while "1 waiting" not in repr(client):
        gevent.sleep(0.001)
    peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
    peer.answer(peer.expect_request().stream_id, 200, b"on the same")
    assert waiting.get().text == "on the same"
    peer.answer(first)
    holding.get()


def test_a_timeout_while_others_are_answered_casts_no_suspicion(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    with client.stream("GET", f"{server.url}/drip/1000/0.05"):
        with pytest.raises(greenh2.ReadTimeout):
            client.get(f"{server.url}/stall", timeout=0.8)
        assert server.stats().connections[0].pings == 0


def test_the_reaper_closes_an_idle_connection_that_answers_no_ping(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=None, ping_timeout=0.2))
    client.get(server.url)
    server.freeze()
    with pytest.raises(greenh2.ReadTimeout):
        client.get(server.url, timeout=0.3)
    with gevent.Timeout(5):
        while "Connections: 0 open" not in client.dump():
            gevent.sleep(0.01)
