"""The frame splitter: whole frames out of any portions of bytes, and violations as soon as they can be seen."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from greenh2._protocol.frames import (
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    MAX_HEADER_BLOCK,
    Frame,
    FrameSplitter,
    FrameType,
    FrameViolation,
    content,
    frame_bytes,
)

MAX = 16384
SETTINGS = SettingsFrame(0).serialize()


def _started() -> FrameSplitter:
    splitter = FrameSplitter(MAX)
    list(splitter.feed(SETTINGS))
    return splitter


def _violation(splitter: FrameSplitter, wire: bytes) -> FrameViolation:
    with pytest.raises(FrameViolation) as caught:
        list(splitter.feed(wire))
    return caught.value


def test_frames_come_out_whole_with_their_headers() -> None:
    ping = PingFrame(0, b"12345678").serialize()
    (frame,) = _started().feed(ping)
    assert frame == Frame(FrameType.PING, 0, 0, b"12345678")


def test_a_frame_is_given_once_its_last_byte_is_there() -> None:
    splitter = _started()
    ping = PingFrame(0, b"12345678").serialize()
    given = [list(splitter.feed(ping[index : index + 1])) for index in range(len(ping))]
    assert [len(frames) for frames in given] == [0] * (len(ping) - 1) + [1]


def test_several_frames_in_one_portion_come_out_in_order() -> None:
    wire = b"".join(PingFrame(0, bytes([n]) * 8).serialize() for n in range(5))
    assert [frame.payload[0] for frame in _started().feed(wire)] == [0, 1, 2, 3, 4]


def test_what_was_not_taken_yet_stays_for_the_next_time() -> None:
    splitter = _started()
    wire = b"".join(PingFrame(0, bytes([n]) * 8).serialize() for n in range(2))
    frames = splitter.feed(wire)
    assert next(frames).payload[0] == 0
    frames.close()  # type: ignore[attr-defined]
    assert [frame.payload[0] for frame in splitter.feed(b"")] == [1]


def test_the_reserved_bit_of_a_stream_id_is_ignored() -> None:
    (frame,) = _started().feed(frame_bytes(FrameType.DATA, 0, 0x80000005))
    assert frame.stream_id == 5


def test_a_frame_of_exactly_the_allowed_size_is_taken() -> None:
    (frame,) = _started().feed(DataFrame(1, b"x" * MAX).serialize())
    assert len(frame.payload) == MAX


def test_a_frame_that_is_too_long_is_refused_from_its_header() -> None:
    wire = DataFrame(1, b"x" * (MAX + 1)).serialize()
    violation = _violation(_started(), wire[:FRAME_HEADER])
    assert violation.code == ErrorCodes.FRAME_SIZE_ERROR
    assert str(violation) == "a frame of 16385 bytes was announced; at most 16384 are allowed"


def test_lengths_beyond_16_bits_are_understood() -> None:
    splitter = FrameSplitter(1 << 20)
    list(splitter.feed(SETTINGS))
    (frame,) = splitter.feed(DataFrame(1, b"x" * 70_001).serialize())
    assert len(frame.payload) == 70_001


def test_nothing_has_started_before_the_peer_s_settings() -> None:
    assert not FrameSplitter(MAX).started


def test_the_peer_s_settings_start_it() -> None:
    assert _started().started


def test_half_of_the_settings_do_not_start_it() -> None:
    splitter = FrameSplitter(MAX)
    list(splitter.feed(SettingsFrame(0, {3: 100}).serialize()[:-1]))
    assert not splitter.started


@pytest.mark.parametrize(
    "wire",
    [
        PingFrame(0, b"12345678").serialize(),
        HeadersFrame(1, b"\x88", flags=["END_HEADERS"]).serialize(),
        SettingsFrame(0, flags=["ACK"]).serialize(),
        WindowUpdateFrame(0, 5).serialize(),
    ],
)
def test_the_first_frame_must_be_settings(wire: bytes) -> None:
    violation = _violation(FrameSplitter(MAX), wire)
    assert violation.code == ErrorCodes.PROTOCOL_ERROR
    assert "not SETTINGS" in str(violation)


def test_an_answer_in_http_1_is_named_as_that() -> None:
    violation = _violation(FrameSplitter(MAX), b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")
    assert "HTTP/1.x" in str(violation)
    assert "b'HTTP/1.1 400 Bad Request'" in str(violation)


def test_what_looks_like_http_1_later_is_just_a_frame_that_is_too_long() -> None:
    assert _violation(_started(), b"HTTP/1.1 400 Bad Request").code == ErrorCodes.FRAME_SIZE_ERROR


def test_a_header_block_in_several_frames_comes_out_as_one() -> None:
    first = HeadersFrame(1, b"ab", flags=["END_STREAM"])
    rest = [ContinuationFrame(1, b"cd"), ContinuationFrame(1, b"ef", flags=["END_HEADERS"])]
    (frame,) = _started().feed(b"".join(part.serialize() for part in [first, *rest]))
    assert frame == Frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, b"abcdef")


def test_a_block_leaves_nothing_to_the_next() -> None:
    splitter = _started()
    blocks = [HeadersFrame(1, b"ab"), ContinuationFrame(1, b"cd", flags=["END_HEADERS"])]
    list(splitter.feed(b"".join(part.serialize() for part in blocks)))
    (frame,) = splitter.feed(HeadersFrame(3, b"ef", flags=["END_HEADERS"]).serialize())
    assert (frame.stream_id, frame.flags, frame.payload) == (3, END_HEADERS, b"ef")


@pytest.mark.parametrize(
    "intruder",
    [
        PingFrame(0, b"12345678").serialize(),
        HeadersFrame(3, b"\x88", flags=["END_HEADERS"]).serialize(),
        HeadersFrame(1, b"\x88", flags=["END_HEADERS"]).serialize(),
        ContinuationFrame(3, b"\x88", flags=["END_HEADERS"]).serialize(),
        frame_bytes(0x10, 0, 0),
    ],
)
def test_a_header_block_may_not_be_interrupted(intruder: bytes) -> None:
    splitter = _started()
    list(splitter.feed(HeadersFrame(1, b"ab").serialize()))
    violation = _violation(splitter, intruder)
    assert violation.code == ErrorCodes.PROTOCOL_ERROR
    assert "interrupted" in str(violation)


def test_a_continuation_of_nothing_is_refused() -> None:
    wire = ContinuationFrame(1, b"ab", flags=["END_HEADERS"]).serialize()
    assert _violation(_started(), wire).code == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("size", [0, 1, MAX])
def test_an_endless_header_block_is_refused(size: int) -> None:
    splitter = _started()
    list(splitter.feed(HeadersFrame(1, b"").serialize()))
    part = ContinuationFrame(1, b"x" * size).serialize()
    assert (
        _violation(splitter, part * (MAX_HEADER_BLOCK // len(part) + 1)).code == ErrorCodes.ENHANCE_YOUR_CALM
    )


def test_a_header_block_of_the_allowed_size_is_taken() -> None:
    splitter = _started()
    list(splitter.feed(HeadersFrame(1, b"").serialize()))
    left = MAX_HEADER_BLOCK - FRAME_HEADER
    while left > MAX + FRAME_HEADER:
        assert not list(splitter.feed(ContinuationFrame(1, b"x" * MAX).serialize()))
        left -= MAX + FRAME_HEADER
    last = ContinuationFrame(1, b"x" * (left - FRAME_HEADER), flags=["END_HEADERS"])
    assert len(list(splitter.feed(last.serialize()))) == 1


def test_header_blocks_are_measured_one_by_one() -> None:
    splitter = _started()
    block = HeadersFrame(1, b"x" * MAX, flags=["END_HEADERS"]).serialize()
    for _ in range(MAX_HEADER_BLOCK // MAX + 1):
        assert len(list(splitter.feed(block))) == 1


def test_padding_and_priority_of_headers_are_no_part_of_the_block() -> None:
    flags = ["END_HEADERS", "PADDED", "PRIORITY"]
    padded = HeadersFrame(3, b"block", pad_length=7, depends_on=1, stream_weight=9, flags=flags)
    (frame,) = _started().feed(padded.serialize())
    assert frame.payload == b"block"


def test_the_padding_of_data_is_no_content() -> None:
    (frame,) = _started().feed(DataFrame(1, b"data", pad_length=5, flags=["PADDED"]).serialize())
    assert content(frame) == b"data"


def test_a_frame_may_hold_nothing_but_padding() -> None:
    (frame,) = _started().feed(DataFrame(1, b"", pad_length=5, flags=["PADDED"]).serialize())
    assert content(frame) == b""


def test_a_flag_that_only_headers_have_means_nothing_on_data() -> None:
    assert content(Frame(FrameType.DATA, 0x20, 1, b"123456")) == b"123456"


def test_flags_that_continuations_do_not_have_mean_nothing() -> None:
    assert content(Frame(FrameType.CONTINUATION, 0x28, 1, b"\x01xx")) == b"\x01xx"


def test_padding_longer_than_its_frame_is_refused() -> None:
    with pytest.raises(FrameViolation) as caught:
        content(Frame(FrameType.DATA, 0x08, 1, b"\x04123"))
    assert caught.value.code == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("kind", "flags", "payload"),
    [
        (FrameType.DATA, 0x08, b""),
        (FrameType.HEADERS, 0x20, b"1234"),
        (FrameType.HEADERS, 0x28, b"\x0012345"[:5]),
    ],
)
def test_a_frame_too_short_for_its_flags_is_refused(kind: int, flags: int, payload: bytes) -> None:
    with pytest.raises(FrameViolation) as caught:
        content(Frame(kind, flags, 1, payload))
    assert caught.value.code == ErrorCodes.FRAME_SIZE_ERROR


def test_frames_that_are_built_are_frames_that_are_read() -> None:
    wire = frame_bytes(FrameType.DATA, END_STREAM, 7, b"x" * 300)
    assert wire == DataFrame(7, b"x" * 300, flags=["END_STREAM"]).serialize()
