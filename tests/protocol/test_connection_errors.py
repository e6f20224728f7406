"""Connection errors of HTTP/2: GOAWAY with the right code is queued, and one event tells why."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, PushPromiseFrame, SettingsFrame

from greenh2._errors import RemoteProtocolError
from greenh2._protocol.events import ConnectionFailed, HeadReceived
from greenh2._protocol.frames import FrameType, frame_bytes
from greenh2._protocol.machine import MAX_FRAME_SIZE
from tests.protocol.peers import GET, Script, connection_failure, data, receive

PING = PingFrame(0, b"12345678").serialize()
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, FRAME_SIZE = range(1, 6)


def _settings(**values: int) -> bytes:
    return SettingsFrame(0, {globals()[name]: value for name, value in values.items()}).serialize()


SETTINGS = [
    (_settings(ENABLE_PUSH=1), ErrorCodes.PROTOCOL_ERROR),
    (_settings(ENABLE_PUSH=2), ErrorCodes.PROTOCOL_ERROR),
    (_settings(INITIAL_WINDOW=2**31), ErrorCodes.FLOW_CONTROL_ERROR),
    (_settings(FRAME_SIZE=16383), ErrorCodes.PROTOCOL_ERROR),
    (_settings(FRAME_SIZE=0), ErrorCodes.PROTOCOL_ERROR),
    (_settings(FRAME_SIZE=2**24), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.SETTINGS, 0, 0, b"12345"), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.SETTINGS, 0, 1), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.SETTINGS, 1, 1), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.SETTINGS, 1, 0, bytes(6)), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.SETTINGS, 1, 0) * 2, ErrorCodes.PROTOCOL_ERROR),
]
FRAMES = [
    (frame_bytes(FrameType.PING, 0, 0, b"1234567"), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.PING, 0, 1, b"12345678"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.WINDOW_UPDATE, 0, 0, bytes(4)), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.WINDOW_UPDATE, 0, 0, bytes(3)), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.WINDOW_UPDATE, 0, 3, b"\0\0\0\1"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), ErrorCodes.FLOW_CONTROL_ERROR),
    (frame_bytes(FrameType.RST_STREAM, 0, 1, bytes(3)), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.DATA, 0, 0, b"x"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.DATA, 0, 2, b"x"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.DATA, 0, 3, b"x"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.DATA, 8, 1, b"\x02x"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.DATA, 8, 1), ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.DATA, 0, 1, bytes(MAX_FRAME_SIZE + 1))[:9], ErrorCodes.FRAME_SIZE_ERROR),
    (frame_bytes(FrameType.HEADERS, 4, 0, b"\x88"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.HEADERS, 4, 2, b"\x88"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.HEADERS, 4, 3, b"\x88"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.HEADERS, 12, 1, b"\x02\x88"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.HEADERS, 4, 1, b"\xff\xff"), ErrorCodes.COMPRESSION_ERROR),
    (frame_bytes(FrameType.HEADERS, 0, 1, b"\x88") + PING, ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.CONTINUATION, 4, 1, b"\x88"), ErrorCodes.PROTOCOL_ERROR),
    (frame_bytes(FrameType.PRIORITY, 0, 0, bytes(5)), ErrorCodes.PROTOCOL_ERROR),
    (PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"]).serialize(), ErrorCodes.PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("wire", "code"), SETTINGS + FRAMES)
def test_a_broken_rule_ends_the_connection_with_its_code(wire: bytes, code: ErrorCodes) -> None:
    script = Script()
    script.open()
    error = connection_failure(script.say(wire))
    assert isinstance(error, RemoteProtocolError)
    assert "https://example.org broke HTTP/2" in str(error)
    assert not error.unprocessed
    assert script.goaways() == [code]
    assert script.client.retired


def test_the_goodbye_says_that_no_stream_of_the_server_was_processed() -> None:
    script = Script()
    script.say(PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"]))
    assert script.client.outgoing()[9:13] == bytes(4)


@pytest.mark.parametrize("first", [PING, frame_bytes(FrameType.HEADERS, 4, 1, b"\x88"), b"SSH-2.0-x\r\n"])
def test_a_server_that_does_not_begin_with_settings_is_refused(first: bytes) -> None:
    script = Script(greeted=False)
    connection_failure(script.say(first))
    assert script.goaways() == [ErrorCodes.PROTOCOL_ERROR]


def test_an_http_1_answer_is_refused_at_once() -> None:
    script = Script(greeted=False)
    connection_failure(script.say(b"HTTP/1.1 400 Bad Request\r\n"))
    assert script.goaways() == [ErrorCodes.HTTP_1_1_REQUIRED]


def test_an_acknowledgement_of_our_settings_is_in_order_once() -> None:
    script = Script()
    assert script.say(SettingsFrame(0, flags=["ACK"])) == []
    connection_failure(script.say(SettingsFrame(0, flags=["ACK"])))


def test_events_before_the_failure_are_told() -> None:
    script = Script()
    stream_id = script.open()
    events = script.say(script.ok(stream_id), frame_bytes(FrameType.PING, 0, 1, b"12345678"))
    assert [type(event) for event in events] == [HeadReceived, ConnectionFailed]


def test_after_the_failure_nothing_is_taken() -> None:
    script = Script()
    stream_id = script.open()
    script.say(frame_bytes(FrameType.PING, 0, 1, b"12345678"), script.ok(stream_id))
    assert script.say(data(stream_id, b"x")) == []
    assert receive(script.client, b"") == []


def test_the_goodbye_comes_after_what_was_queued_before() -> None:
    script = Script()
    script.client.open(GET, end=True)
    script.say(PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"]))
    assert [frame.__class__.__name__ for frame in script.said()] == ["HeadersFrame", "GoAwayFrame"]


def test_a_failure_that_h2_found_has_it_as_its_cause() -> None:
    script = Script()
    error = connection_failure(script.say(frame_bytes(FrameType.PING, 0, 1, b"12345678")))
    assert isinstance(error.__cause__, Exception)


def test_a_failure_to_decode_has_hpack_s_error_behind_it() -> None:
    script = Script()
    script.open()
    error = connection_failure(script.say(frame_bytes(FrameType.HEADERS, 4, 1, b"\xff\xff")))
    assert error.__cause__ is not None


def test_a_header_block_without_end_is_refused() -> None:
    script = Script()
    script.open()
    block = [HeadersFrame(1, b"\x88"), *[ContinuationFrame(1, b"\0" * 16384) for _ in range(16)]]
    connection_failure(script.say(*block))
    assert script.goaways() == [ErrorCodes.ENHANCE_YOUR_CALM]


def test_a_flood_of_empty_continuations_is_refused() -> None:
    script = Script()
    script.open()
    flood = HeadersFrame(1, b"\x88").serialize() + ContinuationFrame(1, b"").serialize() * 30_000
    connection_failure(receive(script.client, flood))
    assert script.goaways() == [ErrorCodes.ENHANCE_YOUR_CALM]
