"""How connections end under requests, and what each of these is told."""

import ssl

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, GoAwayFrame, RstStreamFrame, SettingsFrame

import greenh2
from greenh2._models.body import RequestContent
from tests.connection.conftest import Converse
from tests.connection.test_upload import BOTH, HEAD_END, OK, endless
from tests.support.badnet import Relay
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers, data


def goaway(last: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> GoAwayFrame:
    return GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=b"see you")


# -- GOAWAY ------------------------------------------------------------------------------------------------------


def test_streams_that_a_goaway_lets_live_end_well_and_then_the_connection_does(talk: Converse) -> None:
    it = talk()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(goaway(stream_id), it.peer.head(stream_id), data(stream_id, b"to the end", end=True))
    assert job.get().text == "to the end"
    it.peer.expect_end()


def test_a_reset_after_a_goaway_does_not_make_its_reason_be_forgotten(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"x")
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(goaway(stream_id, ErrorCodes.ENHANCE_YOUR_CALM))
    with gevent.Timeout(5):
        while "takes no new requests" not in it.client.dump():
            gevent.sleep(0.005)
    it.peer.abort()
    with pytest.raises(
        greenh2.ReadError, match=f"GOAWAY ENHANCE_YOUR_CALM, last stream {stream_id}, b'see you'"
    ):
        job.get()


def test_an_upload_goes_on_after_a_goaway_that_lets_it_live(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"x" * 100_000)
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(goaway(stream_id))
    received = 0
    while received < 100_000:
        received += len(it.peer.expect(DataFrame).data)
        it.peer.open_window(stream_id, 16384)
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


def test_a_stream_beyond_a_goaway_is_sent_again_elsewhere(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"pay once")
    it.peer.expect_request()
    it.peer.send(goaway(0))
    other = it.accept()
    stream_id = other.expect_request().stream_id
    assert other.expect(DataFrame).data == b"pay once"
    other.answer(stream_id)
    assert job.get().status_code == 200


def test_a_goaway_that_comes_before_the_first_request_loses_none(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(adjust=lambda context: setattr(context, "maximum_version", ssl.TLSVersion.TLSv1_2))
    client = make_client()
    bodies: list[RequestContent] = [b"body", iter([b"bo", b"dy"]), (piece for piece in [b"body"])]
    jobs = [gevent.spawn(client.post, server.url, content=body) for body in bodies]
    leaving = server.accept_tcp()
    # With the last of the handshake, so that the client has it before it can ask for anything.
    words = SettingsFrame(0).serialize() + GoAwayFrame(0, last_stream_id=2**31 - 1).serialize()
    leaving.start_tls(server.context, words)  # type: ignore[arg-type]  # it has one
    leaving.expect_end()

    peer = server.accept()
    peer.greet()
    for _ in jobs:
        peer.answer(peer.expect_request().stream_id, 201)
    assert [job.get().status_code for job in jobs] == [201, 201, 201]


def test_a_body_that_can_be_read_once_and_was_begun_is_not_sent_again(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=iter([b"once"]))
    assert it.peer.expect_request()
    assert it.peer.expect(DataFrame).data == b"once"
    it.peer.send(goaway(0))
    with pytest.raises(greenh2.RemoteProtocolError, match="its body can be read only once"):
        job.get()


def test_a_goaway_on_an_idle_connection_is_seen_before_it_is_used(talk: Converse) -> None:
    it = talk()
    job = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    job.get()
    it.peer.send(goaway(1))
    it.wait_until_heard()
    again = it.request()
    other = it.accept()
    other.answer(other.expect_request().stream_id)
    assert again.get().status_code == 200
    it.peer.expect_end()


# -- EOF and resets ------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("end", ["close", "half_close", "abort"])
def test_an_end_before_the_answer_is_a_lost_server(talk: Converse, protocol: str, end: str) -> None:
    it = talk(protocol)
    job = it.request("POST")
    it.peer.expect_request() if protocol == "h2" else it.peer.read_until(HEAD_END)
    getattr(it.peer, end)()
    with pytest.raises(greenh2.ServerDisconnected):
        job.get()


@BOTH
def test_an_end_within_the_answer_is_a_lost_server(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    job = it.request()
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        it.peer.send(it.peer.head(stream_id), data(stream_id, b"a beginning"))
    else:
        it.peer.read_until(HEAD_END)
        it.peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na beginning")
    it.peer.half_close()
    with pytest.raises(greenh2.ServerDisconnected, match="before the response ended"):
        job.get()


def test_every_stream_gets_an_error_of_its_own(talk: Converse) -> None:
    it = talk()
    jobs = [it.request("POST") for _ in range(3)]
    for _ in jobs:
        it.peer.expect_request()
    it.peer.close()
    gevent.joinall(jobs)
    assert all(isinstance(job.exception, greenh2.ServerDisconnected) for job in jobs)
    assert len({id(job.exception) for job in jobs}) == 3


def test_an_answer_that_only_the_end_ends_is_whole(talk: Converse) -> None:
    it = talk("http1")
    job = it.request()
    it.peer.read_until(HEAD_END)
    it.peer.send_bytes(b"HTTP/1.1 200 OK\r\n\r\nall there is")
    it.peer.say_goodbye()
    assert job.get().text == "all there is"


def test_an_answer_and_the_end_in_one_go_are_an_answer(talk: Converse) -> None:
    it = talk("http1")
    job = it.request()
    it.peer.read_until(HEAD_END)
    it.peer.send_cipher(it.peer.encrypt(OK) + it.peer.goodbye())
    assert job.get().text == "OK"
    it.peer.expect_end()


BROKEN_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)


def test_broken_tls_behind_the_data_is_an_error_and_no_end(talk: Converse) -> None:
    it = talk("http1")
    job = it.request()
    it.peer.read_until(HEAD_END)
    it.peer.send_cipher(it.peer.encrypt(b"HTTP/1.1 200 OK\r\n\r\nsome of it") + BROKEN_RECORD)
    it.peer.half_close()
    with pytest.raises(greenh2.ReadError, match=r"TLS from .* is broken"):
        job.get()


@BOTH
@pytest.mark.parametrize("size", [10, 2_000_000])
def test_broken_tls_behind_the_data_is_told_though_nothing_comes_after_it(
    talk: Converse, protocol: str, size: int
) -> None:
    it = talk(protocol, timeout=None)
    job = it.request()
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        frames = [data(stream_id, bytes(10)) for _ in range(size // 10_000 + 1)]
        words = it.peer.head(stream_id).serialize() + b"".join(frame.serialize() for frame in frames)
    else:
        it.peer.read_until(HEAD_END)
        words = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n.\r\n" * (size // 100)
    it.peer.send_cipher(it.peer.encrypt(words) + BROKEN_RECORD)
    with pytest.raises(greenh2.ReadError, match=r"TLS from .* is broken"):
        job.get(timeout=10.0)


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http1"])
def test_a_reset_behind_the_data_is_told_though_nothing_comes_after_it(
    raw_server: RawServers, make_client: MakeClient, http2: bool, size: int
) -> None:
    server = raw_server(tls=False)
    client = make_client(timeout=None, http2="prior-knowledge" if http2 else False)
    job = gevent.spawn(client.get, server.url)
    peer = server.accept()
    if http2:
        peer.greet()
        stream_id = peer.expect_request().stream_id
        frames = [data(stream_id, bytes(10_000)) for _ in range(size // 10_000 + 1)]
        words = peer.head(stream_id).serialize() + b"".join(frame.serialize() for frame in frames)
    else:
        peer.read_until(HEAD_END)
        words = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(size)
    peer.send_at_once(
        words
    )  # and no other greenlet runs before the reset: the client's loop hears of both at once
    peer.abort()
    with pytest.raises(greenh2.ServerDisconnected, match="was lost"):
        job.get(timeout=10.0)


@BOTH
def test_an_idle_connection_that_was_ended_is_not_used_again(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    job = it.request("POST")
    if protocol == "h2":
        it.peer.answer(it.peer.expect_request().stream_id)
    else:
        it.peer.read_until(HEAD_END)
        it.peer.send_bytes(OK)
    job.get()
    it.peer.close()
    it.wait_until_heard()
    again = it.request("POST")
    other = it.accept()
    if protocol == "h2":
        other.answer(other.expect_request().stream_id)
    else:
        other.read_until(HEAD_END)
        other.send_bytes(OK)
    assert again.get().status_code == 200


@BOTH
def test_a_cut_line_is_a_lost_server_and_the_next_request_gets_through(
    origin: OriginFactory, make_client: MakeClient, protocol: str
) -> None:
    server = origin(alpn=("h2",) if protocol == "h2" else ("http/1.1",))
    with Relay(server.port) as net:
        client = make_client()
        job = gevent.spawn(client.post, f"https://localhost:{net.port}/stall")
        server.wait_until(lambda stats: bool(stats.requests))
        net.cut()
        with pytest.raises(greenh2.ServerDisconnected):
            job.get()
        assert client.get(f"https://localhost:{net.port}/").text == "hello\n"


def test_a_black_hole_is_a_read_timeout_and_what_was_held_up_may_still_come(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    with Relay(server.port) as net:
        client = make_client()
        url = f"https://localhost:{net.port}/"
        client.get(url)
        net.swallow()
        with pytest.raises(greenh2.ReadTimeout):
            client.get(url, timeout=0.1)
        waiting = gevent.spawn(client.get, url)
        gevent.sleep(0.05)
        assert not waiting.ready()
        net.restore()
        assert waiting.get().text == "hello\n"


def test_half_a_connection_is_no_connection(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(alpn=("http/1.1",))
    with Relay(server.port) as net:
        client = make_client()
        job = gevent.spawn(client.post, f"https://localhost:{net.port}/stall", content=endless())
        server.wait_until(lambda stats: bool(stats.requests))
        net.end_towards_client()
        with pytest.raises(greenh2.ServerDisconnected):
            job.get(timeout=10.0)
        server.wait_until(lambda stats: not stats.open)


# -- an answer that is there though writing has failed --------------------------------------------------------------


@BOTH
def test_an_answer_in_the_socket_is_read_though_the_upload_has_broken(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    job = it.request("POST", content=endless())
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        it.peer.open_window(stream_id, 2**28)
        it.peer.answer(stream_id, 413, b"OK")
    else:
        it.peer.read_until(HEAD_END)
        it.peer.send_bytes(OK)
    it.peer.close()  # with bytes unread: a reset follows
    assert job.get().text == "OK"


def test_a_broken_upload_without_an_answer_is_a_network_error(talk: Converse) -> None:
    it = talk("http1")
    job = it.request("POST", content=endless())
    it.peer.read_until(HEAD_END)
    gevent.sleep(0.1)  # the client fills its buffers, and waits for the loop to write
    it.peer.abort()
    with pytest.raises(greenh2.NetworkError):
        job.get()


# -- protocol errors -------------------------------------------------------------------------------------------------


def test_a_peer_that_breaks_http_2_is_told_and_left(talk: Converse) -> None:
    it = talk()
    jobs = [it.request("POST") for _ in range(2)]
    for _ in jobs:
        it.peer.expect_request()
    it.peer.send(RstStreamFrame(99, error_code=ErrorCodes.CANCEL))  # an idle stream
    it.peer.expect_goaway(ErrorCodes.PROTOCOL_ERROR)
    it.peer.expect_end()
    for job in jobs:
        with pytest.raises(greenh2.RemoteProtocolError):
            job.get()


def test_a_reset_stream_leaves_its_siblings_alone(talk: Converse) -> None:
    it = talk()
    jobs = [it.request("POST", path) for path in ("/a", "/b")]
    first, second = (it.peer.expect_request().stream_id for _ in jobs)
    it.peer.send(RstStreamFrame(first, error_code=ErrorCodes.INTERNAL_ERROR))
    it.peer.answer(second, 200, b"fine")
    with pytest.raises(greenh2.RemoteProtocolError, match="INTERNAL_ERROR"):
        jobs[0].get()
    assert jobs[1].get().text == "fine"


def test_bytes_that_nobody_asked_for_end_an_idle_connection(talk: Converse) -> None:
    it = talk("http1")
    job = it.request()
    it.peer.read_until(HEAD_END)
    it.peer.send_bytes(OK)
    job.get()
    it.peer.send_bytes(OK)
    it.wait_until_heard()
    again = it.request()
    other = it.accept()
    other.read_until(HEAD_END)
    other.send_bytes(OK.replace(b"OK", b"ok"))
    assert again.get().text == "ok"


def test_a_connection_that_may_carry_nothing_for_now_is_waited_for(talk: Converse) -> None:
    it = talk()
    job = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    job.get()
    it.peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 0}))
    it.peer.expect_taken()
    again = it.request()
    it.peer.expect_taken()  # a request that was sent already would be passed over, and get no answer
    it.peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 1}))
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200
