"""GOAWAY: streams up to its last id finish, those above were never processed (RFC 9113 section 6.8)."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived as ServerData
from h2.events import PingReceived
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, WindowUpdateFrame

from greenh2._errors import RemoteProtocolError, ServerDisconnected
from greenh2._protocol.events import (
    CapacityChanged,
    DataReceived,
    HeadReceived,
    ResponseEnded,
    StreamFailed,
    WindowOpened,
)
from greenh2._protocol.frames import FrameType, frame_bytes
from greenh2._protocol.http2 import Http2Protocol
from tests.protocol.peers import POST, Script, Talk, connection_failure, data, only, receive, stream_failure

NO_STREAM = 2**31 - 1


def _goaway(last_id: int, code: int = 0, debug: bytes = b"") -> GoAwayFrame:
    return GoAwayFrame(0, last_stream_id=last_id, error_code=code, additional_data=debug)


def test_the_streams_it_covers_finish() -> None:
    script = Script()
    first, second = script.open(), script.open()
    script.say(script.ok(first), data(first, b"half"), _goaway(second))
    assert script.say(data(first, b"half", end=True)) == [
        DataReceived(first, b"half", 4),
        ResponseEnded(first),
    ]
    assert script.say(script.ok(second, end=True))[-1] == ResponseEnded(second)


def test_trailers_and_windows_go_on_after_it() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(_goaway(stream_id))
    assert script.say(WindowUpdateFrame(stream_id, 5)) == [WindowOpened(stream_id)]
    events = script.say(script.ok(stream_id), script.headers(stream_id, (b"a", b"b"), end=True))
    assert events[-1] == ResponseEnded(stream_id, [(b"a", b"b")])


def test_an_upload_that_it_covers_goes_on() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(_goaway(stream_id))
    assert script.client.sendable(stream_id) > 0
    script.client.send(stream_id, b"the rest", end=True)
    assert [frame.data for frame in only(script.said(), DataFrame)] == [b"the rest"]


def test_a_real_server_gets_the_rest_of_an_upload() -> None:
    talk = Talk()
    stream_id = talk.open(POST, end=False)
    receive(talk.client, _goaway(stream_id).serialize())
    talk.client.send(stream_id, b"the rest", end=True)
    talk.carry()
    assert [event.data for event in talk.saw(ServerData)] == [b"the rest"]
    assert talk.answer(stream_id, end=True)[-1] == ResponseEnded(stream_id)


def test_pings_are_still_answered() -> None:
    script = Script()
    script.open()
    script.say(_goaway(1), PingFrame(0, b"12345678"))
    assert len(only(script.said(), PingFrame)) == 1


def test_a_ping_may_still_be_sent() -> None:
    talk = Talk()
    talk.open()
    receive(talk.client, _goaway(1).serialize())
    talk.client.ping(b"12345678")
    talk.carry()
    assert len(talk.saw(PingReceived)) == 1


def test_a_stream_that_it_covers_may_be_cancelled() -> None:
    script = Script()
    stream_id = script.open()
    script.say(_goaway(stream_id))
    script.client.cancel(stream_id)
    assert script.resets() == [(stream_id, ErrorCodes.CANCEL)]


def test_streams_above_its_last_id_were_not_processed() -> None:
    script = Script()
    _, second, third = script.open(), script.open(), script.open(POST, end=False)
    events = script.say(_goaway(1, ErrorCodes.NO_ERROR))
    assert [event.stream_id for event in events if isinstance(event, StreamFailed)] == [second, third]
    for event in events:
        if isinstance(event, StreamFailed):
            assert event.error.unprocessed
            assert isinstance(event.error, RemoteProtocolError)


@pytest.mark.parametrize("code", list(ErrorCodes))
def test_only_one_code_asks_for_http_1(code: ErrorCodes) -> None:
    script = Script()
    stream_id = script.open()
    error = stream_failure(script.say(_goaway(0, code)), stream_id)
    assert error.http11_required == (code == ErrorCodes.HTTP_1_1_REQUIRED)


def test_streams_above_its_last_id_send_no_more() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(_goaway(0))
    script.client.send(stream_id, b"x", end=True)
    assert script.client.sendable(stream_id) == 0
    assert script.said() == []


def test_nothing_is_written_about_streams_above_its_last_id() -> None:
    script = Script()
    script.open(POST, end=False)
    script.say(_goaway(0))
    assert script.said() == []


def test_what_was_queued_before_it_is_still_written() -> None:
    script = Script()
    first = script.open()
    script.client.open(POST, end=False)
    script.say(PingFrame(0, b"12345678"), _goaway(first))
    assert [type(frame) for frame in script.said()] == [HeadersFrame, PingFrame]


def test_data_for_a_stream_above_its_last_id_is_dropped() -> None:
    script = Script()
    first, second = script.open(), script.open()
    script.say(_goaway(first))
    assert script.say(script.ok(second), data(second, b"x")) == []
    assert script.said() == []
    assert script.say(script.ok(first, end=True))[-1] == ResponseEnded(first)


def test_an_answer_that_is_whole_outlives_its_stream() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(script.ok(stream_id, end=True))
    assert script.say(_goaway(0)) == [CapacityChanged()]
    assert script.client.sendable(stream_id) == 0


def test_no_stream_may_be_opened_after_it() -> None:
    script = Script()
    assert script.say(_goaway(NO_STREAM)) == [CapacityChanged()]
    assert script.client.retired
    assert not script.client.greeting


def test_a_first_step_with_the_highest_id_spares_all_streams() -> None:
    script = Script()
    stream_id = script.open()
    assert script.say(_goaway(NO_STREAM)) == [CapacityChanged()]
    assert script.say(script.ok(stream_id))[0].__class__ is HeadReceived


def test_a_second_step_names_those_that_were_not_processed() -> None:
    script = Script()
    first, second = script.open(), script.open()
    script.say(_goaway(NO_STREAM))
    assert stream_failure(script.say(_goaway(first)), second).unprocessed
    assert script.say(script.ok(first, end=True))[-1] == ResponseEnded(first)


def test_the_same_goaway_twice_changes_nothing() -> None:
    script = Script()
    stream_id = script.open()
    script.say(_goaway(stream_id))
    assert script.say(_goaway(stream_id)) == [CapacityChanged()]


def test_a_last_id_that_rises_ends_the_connection() -> None:
    script = Script()
    script.open()
    script.say(_goaway(1))
    assert "raised" in str(connection_failure(script.say(_goaway(3))))
    assert script.goaways() == [ErrorCodes.PROTOCOL_ERROR]


def test_goaway_on_a_stream_ends_the_connection() -> None:
    script = Script()
    script.open()
    wire = frame_bytes(FrameType.GOAWAY, 0, 1, bytes(8))
    assert "on stream 1" in str(connection_failure(script.say(wire)))
    assert script.goaways() == [ErrorCodes.PROTOCOL_ERROR]


@pytest.mark.parametrize("length", [0, 7])
def test_a_goaway_that_is_too_short_ends_the_connection(length: int) -> None:
    script = Script()
    assert "GOAWAY of" in str(
        connection_failure(script.say(frame_bytes(FrameType.GOAWAY, 0, 0, bytes(length))))
    )
    assert script.goaways() == [ErrorCodes.FRAME_SIZE_ERROR]


def test_the_reserved_bit_of_its_last_id_is_ignored() -> None:
    script = Script()
    stream_id = script.open()
    events = script.say(frame_bytes(FrameType.GOAWAY, 0, 0, b"\x80\0\0\0" + bytes(4)))
    assert stream_failure(events, stream_id).unprocessed


@pytest.mark.parametrize(
    ("code", "name"), [(0, "NO_ERROR"), (0xB, "ENHANCE_YOUR_CALM"), (0xABCDEF01, "code 0xabcdef01")]
)
def test_the_error_tells_code_last_stream_and_debug_text(code: int, name: str) -> None:
    script = Script()
    stream_id = script.open()
    text = str(stream_failure(script.say(_goaway(0, code, b"too_many_pings")), stream_id))
    assert f"did not process stream {stream_id}: GOAWAY {name}, last stream 0, b'too_many_pings'" in text


def test_long_debug_text_is_cut() -> None:
    script = Script()
    stream_id = script.open()
    text = str(stream_failure(script.say(_goaway(0, 0, b"x" * 10_000)), stream_id))
    assert text.count("x") < 300


def test_an_end_after_a_goaway_with_an_error_tells_that_error() -> None:
    script = Script()
    script.open()
    script.say(_goaway(1, ErrorCodes.INTERNAL_ERROR, b"out of luck"))
    error = connection_failure(receive(script.client, b""))
    assert not isinstance(error, ServerDisconnected)
    assert "after GOAWAY INTERNAL_ERROR, last stream 1, b'out of luck'" in str(error)


def test_an_end_after_a_graceful_goaway_is_a_disconnection() -> None:
    script = Script()
    script.open()
    script.say(_goaway(1))
    error = connection_failure(receive(script.client, b""))
    assert isinstance(error, ServerDisconnected)
    assert not error.unprocessed
    assert "GOAWAY NO_ERROR, last stream 1" in str(error)


def test_two_goaways_are_told_together() -> None:
    script = Script()
    script.open()
    script.say(_goaway(3, ErrorCodes.ENHANCE_YOUR_CALM, b"first"), _goaway(1, 0, b"second"))
    text = str(connection_failure(receive(script.client, b"")))
    assert "GOAWAY ENHANCE_YOUR_CALM, last stream 1, b'first'" in text


def test_the_second_goaway_tells_what_the_first_did_not() -> None:
    script = Script()
    script.open()
    script.say(_goaway(3), _goaway(1, ErrorCodes.INTERNAL_ERROR, b"second"))
    text = str(connection_failure(receive(script.client, b"")))
    assert "GOAWAY INTERNAL_ERROR, last stream 1, b'second'" in text


def test_goaway_and_a_reset_in_one_portion_are_both_heeded() -> None:
    script = Script()
    first, second = script.open(), script.open()
    reset = frame_bytes(FrameType.RST_STREAM, 0, first, (8).to_bytes(4, "big"))
    events = script.say(reset, _goaway(first))
    assert [event.stream_id for event in events if isinstance(event, StreamFailed)] == [first, second]


def test_shutdown_after_it_still_says_goodbye() -> None:
    script = Script()
    script.say(_goaway(0))
    script.client.shutdown()
    assert script.goaways() == [ErrorCodes.NO_ERROR]


def test_goaway_before_settings_is_no_greeting() -> None:
    client = Http2Protocol("https://example.org")
    assert "not SETTINGS" in str(connection_failure(receive(client, _goaway(0).serialize())))
