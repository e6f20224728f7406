"""RST_STREAM, theirs and ours, and the frames that race it."""

from __future__ import annotations

import tracemalloc

import pytest
from h2.errors import ErrorCodes
from h2.events import StreamReset
from hyperframe.frame import RstStreamFrame, WindowUpdateFrame

from greenh2._errors import RemoteProtocolError
from greenh2._protocol.events import DataReceived, ResponseEnded, StreamFailed
from greenh2._protocol.frames import FrameType, frame_bytes
from tests.protocol.peers import GET, POST, Script, Talk, connection_failure, data, receive, stream_failure

ALL_CODES = list(ErrorCodes)


def _reset(stream_id: int, code: int) -> RstStreamFrame:
    return RstStreamFrame(stream_id, code)


@pytest.mark.parametrize("code", ALL_CODES)
def test_a_reset_ends_its_stream_and_no_other(code: ErrorCodes) -> None:
    script = Script()
    stream_id, sibling = script.open(), script.open()
    error = stream_failure(script.say(_reset(stream_id, code)), stream_id)
    assert isinstance(error, RemoteProtocolError)
    assert f"reset stream {stream_id}: {code.name}" in str(error)
    assert script.say(script.ok(sibling, end=True))[-1] == ResponseEnded(sibling)


def test_an_unknown_code_is_told_as_a_number() -> None:
    script = Script()
    assert "code 0xabcd" in str(stream_failure(script.say(_reset(script.open(), 0xABCD)), 1))


@pytest.mark.parametrize("code", ALL_CODES)
def test_only_a_refused_stream_is_unprocessed(code: ErrorCodes) -> None:
    script = Script()
    error = stream_failure(script.say(_reset(script.open(), code)), 1)
    assert error.unprocessed == (code == ErrorCodes.REFUSED_STREAM)


@pytest.mark.parametrize("code", ALL_CODES)
def test_only_one_code_asks_for_http_1(code: ErrorCodes) -> None:
    script = Script()
    error = stream_failure(script.say(_reset(script.open(), code)), 1)
    assert error.http11_required == (code == ErrorCodes.HTTP_1_1_REQUIRED)


def test_a_reset_is_not_answered() -> None:
    script = Script()
    script.say(_reset(script.open(), ErrorCodes.CANCEL))
    assert script.said() == []


def test_a_reset_after_the_head_is_no_end() -> None:
    script = Script()
    stream_id = script.open()
    events = script.say(script.ok(stream_id), _reset(stream_id, ErrorCodes.NO_ERROR))
    assert isinstance(events[-1], StreamFailed)


def test_a_reset_in_the_body_comes_after_what_arrived_before() -> None:
    script = Script()
    stream_id = script.open()
    events = script.say(script.ok(stream_id), data(stream_id, b"x"), _reset(stream_id, ErrorCodes.CANCEL))
    assert events[1] == DataReceived(stream_id, b"x", 1)
    assert isinstance(events[2], StreamFailed)


def test_a_reset_after_a_whole_answer_does_not_touch_it() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    events = script.say(script.ok(stream_id, end=True), _reset(stream_id, ErrorCodes.NO_ERROR))
    assert events[-1] == ResponseEnded(stream_id)
    assert script.client.sendable(stream_id) == 0


def test_a_reset_after_both_sides_have_ended_means_nothing() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id, end=True))
    assert script.say(_reset(stream_id, ErrorCodes.CANCEL)) == []


def test_a_second_reset_means_nothing() -> None:
    script = Script()
    stream_id = script.open()
    script.say(_reset(stream_id, ErrorCodes.CANCEL))
    assert script.say(_reset(stream_id, ErrorCodes.CANCEL)) == []


@pytest.mark.parametrize("stream_id", [0, 1, 2, 3, 2**31 - 1])
def test_a_reset_of_a_stream_that_never_was_ends_the_connection(stream_id: int) -> None:
    script = Script()
    wire = frame_bytes(FrameType.RST_STREAM, 0, stream_id, bytes(4))
    assert "on idle" in str(connection_failure(script.say(wire)))
    assert script.goaways() == [ErrorCodes.PROTOCOL_ERROR]


def test_a_reset_of_the_next_stream_ends_the_connection() -> None:
    script = Script()
    stream_id = script.open()
    connection_failure(script.say(_reset(stream_id + 2, ErrorCodes.CANCEL)))


def test_a_reset_stops_an_upload() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(_reset(stream_id, ErrorCodes.CANCEL))
    assert script.client.sendable(stream_id) == 0


# -- ours --------------------------------------------------------------------------------------------------------


def test_to_cancel_resets_the_stream() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.client.cancel(stream_id)
    talk.carry()
    assert [event.error_code for event in talk.saw(StreamReset)] == [ErrorCodes.CANCEL]


def test_to_cancel_twice_resets_once() -> None:
    script = Script()
    stream_id = script.open()
    script.client.cancel(stream_id)
    script.client.cancel(stream_id)
    assert script.resets() == [(stream_id, ErrorCodes.CANCEL)]


def test_to_cancel_what_is_over_does_nothing() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id, end=True))
    script.client.cancel(stream_id)
    assert script.said() == []


@pytest.mark.parametrize("status", [b"100", b"103", b"200", b"2x0"])
def test_a_head_that_races_our_reset_is_ignored(status: bytes) -> None:
    script = Script()
    stream_id, sibling = script.open(), script.open()
    script.client.cancel(stream_id)
    script.said()
    assert script.say(script.headers(stream_id, (b":status", status))) == []
    assert script.said() == []
    assert script.say(script.ok(sibling, end=True))[-1] == ResponseEnded(sibling)


def test_a_whole_response_that_races_our_reset_is_ignored() -> None:
    script = Script()
    stream_id = script.open()
    script.client.cancel(stream_id)
    script.said()
    trailers = script.ok(stream_id), data(stream_id, b"x"), script.headers(stream_id, (b"a", b"b"), end=True)
    assert script.say(*trailers) == []
    assert script.said() == []


@pytest.mark.parametrize("opened_since", [False, True], ids=["at once", "after a new stream"])
def test_late_data_is_not_answered_frame_by_frame(opened_since: bool) -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    script.client.cancel(stream_id)
    script.said()
    for _ in range(int(opened_since)):
        script.open()
    assert script.say(*[data(stream_id, b"x") for _ in range(100)]) == []
    assert script.said() == []


def test_what_was_queued_before_late_data_keeps_its_order() -> None:
    script = Script()
    stream_id = script.open()
    script.client.cancel(stream_id)
    script.client.ping(b"12345678")
    script.say(data(stream_id, b"x"))
    script.client.ping(b"87654321")
    assert [frame.__class__.__name__ for frame in script.said()] == [
        "RstStreamFrame",
        "PingFrame",
        "PingFrame",
    ]


def test_a_window_update_that_races_our_reset_is_ignored() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.cancel(stream_id)
    assert script.say(WindowUpdateFrame(stream_id, 5)) == []


def test_a_reset_that_races_our_reset_is_ignored() -> None:
    script = Script()
    stream_id = script.open()
    script.client.cancel(stream_id)
    assert script.say(_reset(stream_id, ErrorCodes.INTERNAL_ERROR)) == []


def test_an_upload_that_is_not_needed_any_more_is_stopped_without_error() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(script.ok(stream_id, end=True))
    script.client.stop_sending(stream_id)
    assert script.resets() == [(stream_id, ErrorCodes.NO_ERROR)]
    assert script.client.sendable(stream_id) == 0


def test_an_upload_is_not_stopped_while_its_answer_is_under_way() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(script.ok(stream_id))
    script.client.stop_sending(stream_id)
    assert script.said() == []
    assert script.say(data(stream_id, b"x", end=True))[-1] == ResponseEnded(stream_id)


def test_an_upload_may_go_on_to_its_end_after_the_answer() -> None:
    talk = Talk()
    stream_id = talk.open(POST, end=False)
    talk.answer(stream_id, end=True)
    talk.client.send(stream_id, b"the rest", end=True)
    talk.client.stop_sending(stream_id)
    talk.carry()
    assert talk.saw(StreamReset) == []


@pytest.mark.parametrize("late", ["head", "data"])
def test_a_frame_after_the_end_of_an_answer_resets_what_is_left_of_the_stream(late: str) -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    end = script.ok(stream_id, end=True)
    more = script.ok(stream_id) if late == "head" else data(stream_id, b"x")
    assert script.say(end, more)[-1] == ResponseEnded(stream_id)
    assert script.resets() == [(stream_id, ErrorCodes.STREAM_CLOSED)]
    script.client.stop_sending(stream_id)
    script.client.send(stream_id, b"x", end=True)
    assert script.said() == []


def test_data_after_the_end_of_a_stream_is_ignored() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id, end=True))
    assert script.say(data(stream_id, b"x")) == []
    assert script.said() == []


def test_a_head_after_the_end_of_a_stream_ends_the_connection() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id, end=True))
    connection_failure(script.say(script.ok(stream_id, end=True)))
    assert script.goaways() == [ErrorCodes.STREAM_CLOSED]


def test_many_cancelled_streams_leave_nothing_open() -> None:
    talk = Talk()
    for _ in range(300):
        stream_id = talk.open()
        talk.client.cancel(stream_id)
    talk.carry()
    assert talk.server.open_inbound_streams == 0
    assert talk.answer(talk.open(), end=True)


def test_many_reset_streams_do_not_make_memory_grow() -> None:
    script = Script()

    def reset(count: int) -> int:
        """Open so many streams, which the server resets, and return how much memory is held then."""
        for _ in range(count):
            stream_id = script.client.open(GET, end=True)
            script.client.outgoing()
            receive(script.client, _reset(stream_id, ErrorCodes.INTERNAL_ERROR).serialize())
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = reset(4200)
        assert reset(1000) - before < 20_000
    finally:
        tracemalloc.stop()
