"""Http2Protocol: what keeps a connection alive, what means nothing to it, and how it ends."""

from __future__ import annotations

import pytest
from h2.events import PingReceived
from hyperframe.frame import Frame, PingFrame, SettingsFrame

from greenh2._errors import RemoteProtocolError, ServerDisconnected
from greenh2._protocol.events import ConnectionFailed, HeadReceived, PingAnswered, ResponseHead
from greenh2._protocol.frames import FrameType, frame_bytes
from greenh2._protocol.machine import MAX_CHATTER
from tests.protocol.peers import POST, Script, Talk, connection_failure, data, only, receive

# -- PING and frames that mean nothing to us ---------------------------------------------------------------------


def test_a_ping_is_answered_with_its_payload() -> None:
    script = Script()
    script.say(PingFrame(0, b"12345678"))
    (frame,) = only(script.said(), PingFrame)
    assert (frame.opaque_data, set(frame.flags)) == (b"12345678", {"ACK"})


def test_the_answer_to_a_ping_is_not_answered() -> None:
    script = Script()
    assert script.say(PingFrame(0, b"12345678", flags=["ACK"])) == [PingAnswered(b"12345678")]
    assert not script.said()


def test_a_ping_of_ours_is_answered() -> None:
    talk = Talk()
    talk.client.ping(b"12345678")
    assert talk.carry() == [PingAnswered(b"12345678")]
    assert len(talk.saw(PingReceived)) == 1


@pytest.mark.parametrize("kind", [0x0A, 0x0B, 0x0C, 0x10, 0xFA])
def test_frames_of_unknown_types_are_ignored(kind: int) -> None:
    script = Script()
    assert script.say(frame_bytes(kind, 0xFF, 0, b"\xff" * 100), frame_bytes(kind, 0, 1)) == []
    assert script.say(script.ok(script.open(), end=True))


def test_flags_that_nobody_defined_are_ignored() -> None:
    script = Script()
    stream_id = script.open()
    wire = bytearray(script.ok(stream_id).serialize())
    wire[4] |= 0x40
    assert script.say(bytes(wire)) == [HeadReceived(stream_id, ResponseHead(200, []))]


def test_priorities_are_ignored() -> None:
    script = Script()
    stream_id = script.open()
    assert script.say(frame_bytes(FrameType.PRIORITY, 0, stream_id, bytes(5))) == []


@pytest.mark.parametrize("frame", [PingFrame(0, b"12345678"), SettingsFrame(0)])
def test_a_flood_of_frames_that_want_answers_ends_the_connection(frame: Frame) -> None:
    script = Script()
    events = script.say(frame.serialize() * (MAX_CHATTER + 1))
    assert "nothing else" in str(connection_failure(events))


def test_frames_that_carry_nothing_do_not_excuse_a_flood() -> None:
    script = Script()
    stream_id, over = script.open(), script.open()
    script.say(script.ok(stream_id))
    script.client.cancel(over)
    burst = [PingFrame(0, b"12345678"), data(stream_id), data(over, b"x")]
    assert "nothing else" in str(connection_failure(script.say(*burst * (MAX_CHATTER + 1))))


def test_as_many_pings_as_one_likes_may_come_between_useful_frames() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    for _ in range(2):
        assert script.say(PingFrame(0, b"12345678").serialize() * (MAX_CHATTER - 10)) == []
        script.say(data(stream_id, b"x"))


def test_as_many_pings_as_one_likes_may_come_between_heads() -> None:
    script = Script()
    for stream_id in [script.open() for _ in range(2)]:
        assert script.say(PingFrame(0, b"12345678").serialize() * MAX_CHATTER) == []
        script.say(script.ok(stream_id))


def test_as_many_pings_as_one_likes_may_come_during_an_upload() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    for _ in range(2):
        assert script.say(PingFrame(0, b"12345678").serialize() * (MAX_CHATTER - 10)) == []
        script.client.send(stream_id, b"x", end=False)


def test_as_many_pings_as_one_likes_may_come_between_requests() -> None:
    script = Script()
    for _ in range(2):
        assert script.say(PingFrame(0, b"12345678").serialize() * (MAX_CHATTER - 10)) == []
        script.open()


# -- the end -----------------------------------------------------------------------------------------------------


def test_an_end_in_mid_response_is_a_disconnection() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id), data(stream_id, b"half"))
    error = connection_failure(receive(script.client, b""))
    assert isinstance(error, ServerDisconnected)
    assert "before the response ended" in str(error)
    assert not error.unprocessed


def test_an_end_while_nothing_is_open_does_not_speak_of_a_response() -> None:
    error = connection_failure(receive(Script().client, b""))
    assert isinstance(error, ServerDisconnected)
    assert "response" not in str(error)


def test_an_end_before_the_settings_is_a_disconnection() -> None:
    script = Script(greeted=False)
    assert isinstance(connection_failure(receive(script.client, b"")), ServerDisconnected)


def test_after_the_end_nothing_is_received() -> None:
    client = Script().client
    receive(client, b"")
    assert receive(client, b"") == []
    assert client.retired


def test_shutdown_says_goodbye_once() -> None:
    script = Script()
    script.client.shutdown()
    script.client.shutdown()
    assert script.goaways() == [0]
    assert script.client.retired


def test_after_shutdown_nothing_is_received_or_sent_for_streams() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.shutdown()
    script.said()
    assert script.say(script.ok(stream_id)) == []
    assert script.client.sendable(stream_id) == 0


@pytest.mark.parametrize("end", ["eof", "violation", "h2", "shutdown"])
def test_whatever_is_asked_for_a_stream_after_the_end_does_nothing(end: str) -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(script.ok(stream_id), data(stream_id, bytes(60_000)))
    client = script.client
    {
        "eof": lambda: receive(client, b""),
        "violation": lambda: script.say(frame_bytes(FrameType.PUSH_PROMISE, 0, 1)),
        "h2": lambda: script.say(frame_bytes(FrameType.PING, 0, 1)),
        "shutdown": client.shutdown,
    }[end]()
    script.said()
    client.consumed(stream_id, 2**21)
    client.send(stream_id, b"x", end=True)
    client.stop_sending(stream_id)
    client.cancel(stream_id)
    client.ping(b"12345678")
    assert not client.outgoing()


def test_an_http_1_answer_is_told_as_that() -> None:
    script = Script(greeted=False)
    (event,) = script.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert isinstance(event, ConnectionFailed)
    assert isinstance(event.error, RemoteProtocolError)
    assert "HTTP/1.x" in str(event.error)
