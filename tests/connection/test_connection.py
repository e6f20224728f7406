"""What a connection tells the pool, and how it bears what its peer does to it."""

import logging
import re

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

import greenh2
from greenh2._errors import CloseError, RemoteProtocolError
from greenh2._models.body import BytesBody, IterableBody
from greenh2._protocol.events import Event
from tests.connection.conftest import HEAD, UPLOAD, Converse, Ends, deadline, in_mid_answer
from tests.support.rawserver import data

# -- facts -------------------------------------------------------------------------------------------------------


def test_a_connection_says_what_it_is_and_does(h2: Ends) -> None:
    connection, _ = h2
    exchange = connection.open()
    text = f"{connection!r}"
    assert f"#{connection.number} http://127.0.0.1:" in text
    assert re.search(r"HTTP/2 open, 1 streams, 1 requests, \d\.\d s old, 0\.0 s idle", text)
    exchange.close()
    connection.close("the test is over")
    assert "HTTP/2 closed, 0 streams" in repr(connection)
    assert connection.closed
    assert not connection.usable


def test_places_are_reserved_up_to_the_bound_and_given_back(h2: Ends) -> None:
    connection, _ = h2
    first = connection.open()
    assert connection.room(2)
    second = connection.open()
    assert not connection.room(2)
    assert connection.exchanges == (first, second)
    assert not first.reused
    assert second.reused
    first.close()
    first.close()
    assert connection.streams == 1
    assert connection.room(2)
    assert connection.idle() == 0.0
    second.close()
    assert 0.0 <= connection.idle() < 5.0
    connection.close("the test is over")
    assert not connection.room(None)


def test_an_http_1_1_connection_has_one_place(http1: Ends) -> None:
    connection, _ = http1
    exchange = connection.open()
    assert not connection.room(None)
    exchange.close()
    assert connection.closed or connection.room(None)
    connection.close("the test is over")


def test_a_change_is_told_once_it_is_complete(h2: Ends) -> None:
    connection, peer = h2
    told: list[int] = []
    connection.on_change = lambda changed: told.append(changed.streams)
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, BytesBody(b""), 0, deadline())
    stream_id = peer.expect_request().stream_id
    assert exchange.awaited
    peer.answer(stream_id, 200, b"body")
    assert job.get().status == 200
    assert told == [0]
    assert exchange.over
    assert exchange.read(deadline()) == b"body"
    assert exchange.read(deadline()) == b""
    connection.close("the test is over")


def test_a_peers_limit_of_no_streams_suspends_a_connection(h2: Ends) -> None:
    connection, peer = h2
    assert not connection.suspended
    peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 0}))
    while not connection.suspended:
        gevent.sleep(0.001)
        assert connection.probe()
    assert not connection.admits()
    connection.close("the test is over")


# -- reading -----------------------------------------------------------------------------------------------------


def test_a_ping_is_answered_whether_streams_are_open_or_not(h2: Ends) -> None:
    connection, peer = h2
    peer.send(PingFrame(0, b"idle now"))
    assert connection.channel.wait_readable(5.0)
    assert connection.probe()
    assert peer.expect(PingFrame).opaque_data == b"idle now"
    job = gevent.spawn(connection.open().send, HEAD, BytesBody(b""), 0, deadline())
    peer.expect_request()
    peer.send(PingFrame(0, b"busy now"))
    assert peer.expect(PingFrame).opaque_data == b"busy now"
    connection.close("the test is over")
    with pytest.raises(CloseError, match="the test is over"):
        job.get()


def test_a_peer_that_never_stops_does_not_hold_a_probe(h2: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, _ = h2
    endless = PingFrame(0, bytes(8), flags=["ACK"]).serialize()
    monkeypatch.setattr(connection.channel, "read", lambda: endless)
    assert connection.probe()
    connection.close("the test is over")


def test_an_http_1_1_answer_that_nobody_reads_is_left_in_the_network(http1: Ends) -> None:
    connection, peer = http1
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, BytesBody(b""), 0, deadline())
    peer.read_until(b"\r\n\r\n")
    size = 20_000_000
    sending = gevent.spawn(
        peer.send_bytes, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    )
    assert job.get().status == 200
    gevent.sleep(0.1)
    assert not sending.ready()
    received = 0
    while piece := exchange.read(deadline()):
        assert len(piece) < 1_000_000
        received += len(piece)
    assert received == size
    exchange.close()
    connection.close("the test is over")


class Surprise:
    """A protocol that cannot bear what it is fed."""

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol

    def receive(self, data: bytes) -> list[Event]:
        raise ZeroDivisionError("a bug in a parser")

    def __getattr__(self, name: str) -> object:
        return getattr(self._protocol, name)


def test_nothing_that_a_parser_raises_is_raised_in_the_hub(h2: Ends) -> None:
    connection, peer = h2
    job = gevent.spawn(connection.open().send, HEAD, BytesBody(b""), 0, deadline())
    peer.expect_request()
    connection.protocol = Surprise(connection.protocol)  # type: ignore[assignment]  # all else is delegated
    peer.send(PingFrame(0, b"12345678"))
    with pytest.raises(RemoteProtocolError, match="could not be understood: ZeroDivisionError"):
        job.get()
    assert connection.closed


def test_events_for_streams_that_are_gone_are_dropped(h2: Ends) -> None:
    connection, peer = h2
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, IterableBody([b"x" * 70_000]), None, deadline())
    stream_id = peer.expect_request().stream_id
    connection._by_stream.clear()  # as if it had gone between the frames of one read
    peer.open_window(stream_id, 10)
    peer.send(peer.head(stream_id), data(stream_id, b"late"), data(stream_id, b"", end=True))
    second = gevent.spawn(connection.open().send, HEAD, BytesBody(b""), 0, deadline())
    other = peer.expect_request().stream_id
    connection._by_stream.clear()
    peer.send(RstStreamFrame(other, error_code=ErrorCodes.CANCEL))
    peer.send(PingFrame(0, b"all seen"))
    assert peer.expect(PingFrame, opaque_data=b"all seen")
    gevent.killall([job, second])
    exchange.close()
    connection.close("the test is over")


# -- what a closed connection still does -------------------------------------------------------------------------------


def test_what_was_read_before_a_connection_was_closed_can_still_be_taken(h2: Ends) -> None:
    connection, peer = h2
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, BytesBody(b""), 0, deadline())
    stream_id = peer.expect_request().stream_id
    peer.send(peer.head(stream_id), *[data(stream_id, bytes(16_000))] * 80)
    job.get()
    peer.send(PingFrame(0, b"all seen"))
    peer.expect(PingFrame)
    connection.close("the test is over")
    assert len(exchange.read(deadline())) == 1_280_000
    with pytest.raises(CloseError):
        exchange.read(deadline())
    exchange.close()
    with pytest.raises(CloseError):
        exchange.read(deadline())


def test_a_reserved_exchange_of_a_closed_connection_was_not_processed(h2: Ends) -> None:
    connection, _ = h2
    exchange = connection.open()
    connection.close("the test is over")
    connection.close("again")
    with pytest.raises(RemoteProtocolError, match="ended before the request was sent") as caught:
        exchange.send(HEAD, BytesBody(b""), 0, deadline())
    assert caught.value.unprocessed


def test_a_closed_exchange_cannot_be_read(h2: Ends) -> None:
    connection, peer = h2
    exchange, stream_id = in_mid_answer(h2)
    exchange.close()
    peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    with pytest.raises(greenh2.StreamClosed):
        exchange.read(deadline())
    connection.close("the test is over")


def test_flushing_a_closed_connection_does_nothing(h2: Ends) -> None:
    connection, peer = h2
    connection.flush_soon()
    connection.close("the test is over")
    gevent.sleep(0)
    assert peer.expect_end()


def test_the_end_of_a_connection_is_told_to_the_log(h2: Ends, caplog: pytest.LogCaptureFixture) -> None:
    connection, _ = h2
    with caplog.at_level(logging.DEBUG, logger="greenh2"):
        connection.close("the test is over")
        gevent.sleep(0)
    assert "connection.closed" in caplog.text
    assert "the test is over" in caplog.text


def test_a_write_that_fails_while_a_peer_never_stops_ends_the_connection(
    h2: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, peer = h2
    job = gevent.spawn(connection.open().send, HEAD, BytesBody(b""), 0, deadline())
    peer.expect_request()
    endless = PingFrame(0, bytes(8)).serialize()
    monkeypatch.setattr(connection.channel, "read", lambda: endless)
    connection.channel.write_error = OSError("no more")
    connection.flush_soon()
    with pytest.raises(greenh2.WriteError, match="no more") as caught:
        job.get()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_write_that_fails_while_much_is_there_to_be_taken_does_not_hold_others_up_for_long(
    h2: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, _ = h2
    exchange, stream_id = in_mid_answer(h2)
    small = DataFrame(stream_id, b"x").serialize() * 20_000
    monkeypatch.setattr(connection.channel, "read", lambda: small)
    turns: list[bool] = []
    read = connection._read

    def count() -> bool:
        turns.append(read())
        return turns[-1]

    monkeypatch.setattr(connection, "_read", count)
    connection.channel.write_error = OSError("no more")
    connection.flush_soon()
    with pytest.raises(greenh2.WriteError, match="no more"):
        while exchange.read(deadline()):
            pass
    assert len(turns) < 20  # of 5 ms each


def test_the_loss_of_writing_in_the_loop_is_told_though_nothing_is_read(http1: Ends) -> None:
    connection, peer = http1
    job = gevent.spawn(connection.open().send, UPLOAD, BytesBody(b"x" * 20_000_000), None, deadline())
    peer.read_until(b"\r\n\r\n")
    while not connection.channel.unsent:
        gevent.sleep(0.001)
    connection.channel.unwatch()  # as while an answer waits for its reader
    peer.abort()
    with pytest.raises(greenh2.NetworkError):
        job.get()


# -- flow control --------------------------------------------------------------------------------------------------


def test_streams_are_credited_as_their_data_is_taken(talk: Converse) -> None:
    it = talk()
    job = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id), *[data(stream_id, bytes(16_000))] * 100)
    response = job.get()
    pieces = response.iter_raw()
    received = len(next(pieces))
    while received < 1_600_000:
        received += len(next(pieces))
    assert it.peer.expect(WindowUpdateFrame, stream_id=stream_id).window_increment >= 1_000_000
    it.peer.send(data(stream_id, b"", end=True))
    assert list(pieces) == []


def test_an_unread_answer_holds_no_other_up(talk: Converse) -> None:
    it = talk()
    unread = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id), *[data(stream_id, bytes(16_000))] * 100)
    response = unread.get()
    other = it.request()
    second = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(second), *[data(second, bytes(16_000))] * 100, data(second, b"", end=True))
    assert len(other.get().content) == 1_600_000
    response.close()
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    it.peer.send(DataFrame(stream_id, b"late"))
    again = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200


@pytest.mark.parametrize("what", ["receive", "outgoing"])
def test_an_interrupt_in_the_midst_of_the_loop_s_work_ends_the_connection(
    h2: Ends, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    connection, peer = h2
    job = gevent.spawn(connection.open().send, HEAD, BytesBody(b""), 0, deadline())
    peer.expect_request()

    def interrupted(*_: bytes) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(connection.protocol, what, interrupted)
    peer.send_at_once(PingFrame(0, bytes(8)).serialize())
    with pytest.raises(KeyboardInterrupt):
        gevent.sleep(5)
    with pytest.raises(greenh2.ReadError, match="interrupted by KeyboardInterrupt"):
        job.get()
    assert connection.closed


def test_a_copy_in_a_forked_child_that_is_closed_sends_nothing_of_an_upload(h2: Ends) -> None:
    connection, peer = h2
    exchange = connection.open()
    connection.begin(exchange, HEAD, end=False)
    stream_id = exchange.stream_id
    while size := connection.sendable(stream_id):
        connection.send(stream_id, bytes(size), end=False)
    connection._pid += 1
    connection.channel._pid += 1
    connection.close("it does not answer")
    assert len(peer.expect_end()) < 100  # what belongs to the greeting
