"""Flow control: the stream's window is given back as the user reads, the connection's on arrival (RFC 9113 5.2)."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from h2.exceptions import FlowControlError
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, Frame, SettingsFrame, WindowUpdateFrame

from greenh2._protocol.events import CapacityChanged, DataReceived, Event, ResponseEnded, WindowOpened
from greenh2._protocol.frames import END_HEADERS, FrameType, frame_bytes
from greenh2._protocol.machine import CONNECTION_WINDOW, INITIAL_DATA, STREAM_WINDOW
from tests.protocol.peers import GET, POST, Script, Talk, connection_failure, data, only, stream_failure

PIECE = 16_384
WINDOW = SettingCodes.INITIAL_WINDOW_SIZE


def _credit(frames: list[Frame], stream_id: int) -> list[int]:
    updates = only(frames, WindowUpdateFrame)
    return [update.window_increment for update in updates if update.stream_id == stream_id]


def _pour(script: Script, stream_id: int, amount: int) -> list[Event]:
    """Let the server send this much, as a multiple of PIECE."""
    return [event for _ in range(amount // PIECE) for event in script.say(data(stream_id, bytes(PIECE)))]


# -- receiving ---------------------------------------------------------------------------------------------------


def test_the_connection_s_window_is_opened_at_once() -> None:
    talk = Talk()
    talk.open()
    assert talk.server.outbound_flow_control_window == CONNECTION_WINDOW


def test_a_stream_s_window_is_as_large_as_announced() -> None:
    talk = Talk()
    assert talk.server.local_flow_control_window(talk.open()) == STREAM_WINDOW


def test_what_nobody_reads_is_not_credited_to_its_stream() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    _pour(script, stream_id, STREAM_WINDOW)
    assert _credit(script.said(), stream_id) == []


def test_what_was_read_is_credited_to_its_stream_by_the_half_window() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    _pour(script, stream_id, STREAM_WINDOW)
    script.client.consumed(stream_id, STREAM_WINDOW // 2 - 1)
    assert _credit(script.said(), stream_id) == []
    script.client.consumed(stream_id, 1)
    script.client.consumed(stream_id, 5)
    assert _credit(script.said(), stream_id) == [STREAM_WINDOW // 2]


def test_a_real_server_may_send_on_as_far_as_the_user_has_read() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.answer(stream_id)
    for _ in range(STREAM_WINDOW // PIECE):
        talk.server.send_data(stream_id, bytes(PIECE))
    talk.carry()
    with pytest.raises(FlowControlError):
        talk.server.send_data(stream_id, b"x")
    talk.client.consumed(stream_id, STREAM_WINDOW)
    talk.carry()
    assert talk.server.local_flow_control_window(stream_id) == STREAM_WINDOW


def test_what_arrives_is_credited_to_the_connection_though_nobody_reads_it() -> None:
    script = Script()
    for _ in range(CONNECTION_WINDOW // STREAM_WINDOW + 3):
        stream_id = script.open()
        script.say(script.ok(stream_id))
        assert len(_pour(script, stream_id, STREAM_WINDOW)) == STREAM_WINDOW // PIECE


def test_the_connection_is_credited_by_the_quarter_window() -> None:
    talk = Talk()
    for _ in range(2):
        stream_id = talk.open()
        talk.answer(stream_id)
        for _ in range(STREAM_WINDOW // PIECE):
            talk.server.send_data(stream_id, bytes(PIECE))
    assert talk.server.outbound_flow_control_window == CONNECTION_WINDOW * 3 // 4
    talk.carry()
    assert talk.server.outbound_flow_control_window == CONNECTION_WINDOW


def test_padding_counts_as_part_of_what_a_piece_costs() -> None:
    script = Script()
    stream_id = script.open()
    events = script.say(script.ok(stream_id), data(stream_id, b"12345", padding=255))
    assert events[1] == DataReceived(stream_id, b"12345", 5 + 256)


def test_nothing_but_padding_is_credited_though_nobody_can_read_it() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    padding = data(stream_id, padding=255)
    events = script.say(*[padding] * (STREAM_WINDOW // 2 // 256))
    assert events == []
    assert _credit(script.said(), stream_id) == [STREAM_WINDOW // 2]


def test_an_end_that_is_nothing_but_padding_is_an_end() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    events = script.say(script.ok(stream_id), data(stream_id, end=True, padding=255))
    assert events[1:] == [ResponseEnded(stream_id)]


def test_what_is_read_after_the_end_is_not_credited() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    _pour(script, stream_id, STREAM_WINDOW)
    script.say(data(stream_id, end=True))
    script.said()
    script.client.consumed(stream_id, STREAM_WINDOW)
    assert script.said() == []


def test_what_is_read_after_the_end_during_an_upload_is_not_credited() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(script.ok(stream_id, end=True))
    script.client.consumed(stream_id, STREAM_WINDOW)
    assert script.said() == []


def test_what_is_read_of_a_cancelled_stream_is_not_credited() -> None:
    script = Script()
    stream_id = script.open()
    script.client.cancel(stream_id)
    script.said()
    script.client.consumed(stream_id, STREAM_WINDOW)
    assert script.said() == []


_RACES = {
    "cancelled by us": b"",
    "reset by the server": frame_bytes(FrameType.RST_STREAM, 0, 1, b"\0\0\0\x08"),
    "malformed": frame_bytes(FrameType.HEADERS, END_HEADERS, 1, b"\x88"),
    "refused by GOAWAY": frame_bytes(FrameType.GOAWAY, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("word", _RACES.values(), ids=_RACES)
def test_data_that_nobody_wants_any_more_is_credited_to_the_connection(word: bytes) -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    if word:
        script.say(word)
    else:
        script.client.cancel(stream_id)
    assert _pour(script, stream_id, CONNECTION_WINDOW * 2) == []
    assert sum(_credit(script.said(), 0)) >= CONNECTION_WINDOW * 3 // 2


def test_the_frame_that_broke_a_rule_is_credited_as_well() -> None:
    script = Script()
    for _ in range(CONNECTION_WINDOW // 2 // PIECE):
        script.say(data(script.client.open(GET, end=True), bytes(PIECE)))
    assert sum(_credit(script.said(), 0)) == CONNECTION_WINDOW // 2


def test_more_than_a_stream_s_window_ends_the_stream() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id))
    _pour(script, stream_id, STREAM_WINDOW)
    script.said()
    assert "more than its window" in str(stream_failure(script.say(data(stream_id, b"x")), stream_id))
    assert script.resets() == [(stream_id, ErrorCodes.FLOW_CONTROL_ERROR)]


def test_more_than_the_window_for_all_ends_the_connection() -> None:
    script = Script()
    script.client._machine._receivable = (
        10  # the window is enlarged on arrival: nobody comes near its end by keeping to frames
    )
    stream_id = script.open()
    connection_failure(script.say(script.ok(stream_id), data(stream_id, bytes(11))))
    assert script.goaways() == [ErrorCodes.FLOW_CONTROL_ERROR]


# -- sending -----------------------------------------------------------------------------------------------------


def test_at_most_one_frame_may_be_sent_at_a_time() -> None:
    talk = Talk()
    assert talk.client.sendable(talk.open(POST, end=False)) == 16_384


def test_frames_grow_when_the_server_takes_larger_ones() -> None:
    talk = Talk({SettingCodes.MAX_FRAME_SIZE: 40_000})
    assert talk.client.sendable(talk.open(POST, end=False)) == 40_000


def test_no_more_may_be_sent_than_the_window_holds() -> None:
    talk = Talk({WINDOW: 100})
    stream_id = talk.open(POST, end=False)
    assert talk.client.sendable(stream_id) == 100
    talk.client.send(stream_id, bytes(60), end=False)
    assert talk.client.sendable(stream_id) == 40


def test_no_more_may_be_sent_than_the_connection_s_window_holds() -> None:
    talk = Talk({WINDOW: 2**20})
    first, second = talk.open(POST, end=False), talk.open(POST, end=False)
    for size in (16_384, 16_384, 16_384, 16_383):
        talk.client.send(first, bytes(size), end=False)
    assert talk.client.sendable(first) == talk.client.sendable(second) == 0


def test_before_the_server_s_settings_no_more_may_be_sent_than_any_server_takes() -> None:
    script = Script(greeted=False)
    stream_id = script.open(POST, end=False)
    script.client.send(stream_id, bytes(script.client.sendable(stream_id)), end=False)
    assert sum(len(frame.data) for frame in only(script.said(), DataFrame)) == INITIAL_DATA
    assert script.client.sendable(stream_id) == 0
    assert WindowOpened(0) in script.say(SettingsFrame(0))
    for _ in range(3):
        script.client.send(stream_id, bytes(script.client.sendable(stream_id)), end=False)
    assert sum(len(frame.data) for frame in only(script.said(), DataFrame)) == 65_535 - INITIAL_DATA


def test_nothing_may_be_sent_on_a_stream_that_is_not_there() -> None:
    assert Talk().client.sendable(1) == 0


def test_a_window_of_zero_is_waited_for() -> None:
    talk = Talk({WINDOW: 0})
    stream_id = talk.open(POST, end=False)
    assert talk.client.sendable(stream_id) == 0
    talk.server.increment_flow_control_window(5, stream_id)
    assert talk.carry() == [WindowOpened(stream_id)]
    assert talk.client.sendable(stream_id) == 5


def test_a_window_of_the_connection_opens_for_all() -> None:
    talk = Talk()
    talk.open(POST, end=False)
    talk.server.increment_flow_control_window(5)
    assert talk.carry() == [WindowOpened(0)]


def test_a_raised_initial_window_opens_streams_that_are_under_way() -> None:
    talk = Talk({WINDOW: 10})
    stream_id = talk.open(POST, end=False)
    talk.client.send(stream_id, bytes(10), end=False)
    talk.server.update_settings({WINDOW: 30})
    assert talk.carry() == [CapacityChanged(), WindowOpened(0)]
    assert talk.client.sendable(stream_id) == 20


def test_a_lowered_initial_window_may_go_below_zero_and_nothing_may_be_sent() -> None:
    talk = Talk({WINDOW: 1000})
    stream_id = talk.open(POST, end=False)
    talk.client.send(stream_id, bytes(900), end=False)
    talk.server.update_settings({WINDOW: 0})
    talk.carry()
    assert talk.client.sendable(stream_id) == 0
    talk.server.increment_flow_control_window(900, stream_id)
    talk.carry()
    assert talk.client.sendable(stream_id) == 0
    talk.server.increment_flow_control_window(7, stream_id)
    talk.carry()
    assert talk.client.sendable(stream_id) == 7


def test_an_upload_may_end_while_its_window_is_below_zero() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.send(stream_id, bytes(900), end=False)
    script.say(SettingsFrame(0, {int(WINDOW): 0}))
    script.said()
    script.client.send(stream_id, b"", end=True)
    assert [set(frame.flags) for frame in script.said()] == [{"END_STREAM"}]


def test_a_window_that_a_stream_s_update_makes_too_large_ends_that_stream() -> None:
    script = Script()
    stream_id, sibling = script.open(POST, end=False), script.open()
    error = stream_failure(script.say(WindowUpdateFrame(stream_id, 2**31 - 1)), stream_id)
    assert "FLOW_CONTROL_ERROR" in str(error)
    assert not error.unprocessed
    assert script.resets() == [(stream_id, ErrorCodes.FLOW_CONTROL_ERROR)]
    assert script.say(script.ok(sibling, end=True))[-1] == ResponseEnded(sibling)


def test_a_stream_that_lost_its_window_takes_no_more_calls() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(WindowUpdateFrame(stream_id, 2**31 - 1))
    script.said()
    script.client.cancel(stream_id)
    script.client.send(stream_id, b"x", end=True)
    assert script.said() == []


def test_an_initial_window_that_makes_a_stream_s_too_large_ends_the_connection() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.say(WindowUpdateFrame(stream_id, 2**31 - 1 - 65_535))
    connection_failure(script.say(SettingsFrame(0, {int(WINDOW): 65_536})))
    assert script.goaways() == [ErrorCodes.FLOW_CONTROL_ERROR]


def test_a_window_update_for_a_stream_that_is_over_is_ignored() -> None:
    script = Script()
    stream_id = script.open()
    script.say(script.ok(stream_id, end=True))
    assert script.say(WindowUpdateFrame(stream_id, 5)) == []
