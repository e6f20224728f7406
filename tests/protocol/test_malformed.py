"""Malformed responses over HTTP/2: each ends its own stream with PROTOCOL_ERROR, and its siblings live."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame

from greenh2._errors import RemoteProtocolError
from greenh2._protocol.answer import MAX_HEADER_LIST_SIZE, MAX_INTERIM
from greenh2._protocol.events import (
    DataReceived,
    Event,
    Fields,
    HeadReceived,
    InterimReceived,
    ResponseEnded,
    ResponseHead,
)
from greenh2._protocol.fields import MAX_FIELD_LINES
from tests.protocol.peers import HEAD, POST, Script, data, stream_failure

OK = (b":status", b"200")


class Scene(Script):
    """A stream whose response will be malformed, and a sibling."""

    def __init__(self) -> None:
        super().__init__()
        self.sibling = self.open()
        self.stream = self.open()

    def is_judged(self, events: list[Event], text: str) -> None:
        """Check that the stream failed, that the server was told why, and that the sibling lives on."""
        error = stream_failure(events, self.stream)
        assert isinstance(error, RemoteProtocolError)
        assert text in str(error)
        assert not error.unprocessed
        assert self.resets() == [(self.stream, ErrorCodes.PROTOCOL_ERROR)]
        self.sibling_lives()

    def sibling_lives(self) -> None:
        assert self.say(self.ok(self.sibling, (b"still", b"here")), data(self.sibling, b"x", end=True)) == [
            HeadReceived(self.sibling, ResponseHead(200, [(b"still", b"here")])),
            DataReceived(self.sibling, b"x", 1),
            ResponseEnded(self.sibling),
        ]
        assert not self.client.retired


@pytest.fixture(params=[False, True], ids=["going on", "ending"])
def end(request: pytest.FixtureRequest) -> bool:
    """Whether END_STREAM is set on the malformed frame, which makes the stream closed on the wire."""
    return bool(request.param)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "no :status"),
        ([(b"server", b"x")], "no :status"),
        ([(b"server", b"x"), OK], "no :status"),
        ([(b":status", b"2x0")], "invalid :status"),
        ([(b":status", b"101")], "invalid :status"),
        ([(b":status", b"099")], "invalid :status"),
        ([(b":status", b"2000")], "invalid :status"),
        ([OK, OK], "field name"),
        ([OK, (b":path", b"/")], "field name"),
        ([OK, (b"", b"x")], "field name"),
        ([OK, (b"Server", b"x")], "field name"),
        ([OK, (b"a b", b"x")], "field name"),
        ([OK, (b"a", b"b\r\nc: d")], "value of the field"),
        ([OK, (b"a", b"\0")], "value of the field"),
        ([OK, (b"connection", b"close")], "connection-specific"),
        ([OK, (b"transfer-encoding", b"chunked")], "connection-specific"),
        ([OK, (b"content-length", b"+3")], "not a number"),
        ([OK, (b"content-length", b"3"), (b"content-length", b"4")], "two different"),
        ([OK, *[(b"a", b"b")] * (MAX_FIELD_LINES + 1)], "field lines"),
        ([OK, (b"a", b"x" * MAX_HEADER_LIST_SIZE)], "header fields take more"),
        ([(b":status", b"103"), (b"A", b"b")], "field name"),
    ],
)
def test_a_malformed_head_ends_its_stream_alone(fields: Fields, text: str, end: bool) -> None:
    scene = Scene()
    block = scene.block(*fields)
    flags = ["END_STREAM"] if end else []
    wire = HeadersFrame(scene.stream, block[:60_000], flags=flags).serialize()
    scene.is_judged(scene.say(wire, *_continued(scene.stream, block[60_000:])), text)


def _continued(stream_id: int, rest: bytes) -> list[bytes]:
    parts = [rest[start : start + 60_000] for start in range(0, len(rest), 60_000)] or [b""]
    frames = [ContinuationFrame(stream_id, part) for part in parts]
    frames[-1].flags.add("END_HEADERS")
    return [frame.serialize() for frame in frames]


def test_a_head_of_the_allowed_size_is_taken() -> None:
    scene = Scene()
    value = b"0" * (MAX_HEADER_LIST_SIZE - (len(b":status200") + 32) - (1 + 32))
    block = scene.block(OK, (b"a", value))
    (event,) = scene.say(
        HeadersFrame(scene.stream, block[:60_000]), *_continued(scene.stream, block[60_000:])
    )
    assert event == HeadReceived(scene.stream, ResponseHead(200, [(b"a", value)]))


def test_an_interim_response_may_not_end_the_stream() -> None:
    scene = Scene()
    scene.is_judged(
        scene.say(scene.headers(scene.stream, (b":status", b"103"), end=True)), "interim response ended"
    )


def test_interim_responses_are_bounded() -> None:
    scene = Scene()
    interims = [scene.headers(scene.stream, (b":status", b"103")) for _ in range(MAX_INTERIM)]
    assert scene.say(*interims) == [InterimReceived(scene.stream)] * MAX_INTERIM
    scene.is_judged(scene.say(scene.headers(scene.stream, (b":status", b"103"))), "interim (1xx)")


def test_data_before_any_header_fields_is_malformed(end: bool) -> None:
    scene = Scene()
    scene.is_judged(scene.say(data(scene.stream, b"x", end=end)), "header fields were due")


def test_data_after_an_interim_response_is_malformed(end: bool) -> None:
    scene = Scene()
    interim = scene.headers(scene.stream, (b":status", b"100"))
    scene.is_judged(scene.say(interim, data(scene.stream, b"x", end=end)), "header fields were due")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([(b":status", b"200")], "field name"),
        ([(b":path", b"/")], "field name"),
        ([(b"Upper", b"x")], "field name"),
        ([(b"", b"x")], "field name"),
        ([(b"a", b"\0")], "value of the field"),
        ([(b"connection", b"close")], "connection-specific"),
        ([(b"a", b"x")] * (MAX_FIELD_LINES + 1), "field lines"),
    ],
)
def test_malformed_trailers_are_no_end(fields: Fields, text: str) -> None:
    scene = Scene()
    events = scene.say(scene.ok(scene.stream), scene.headers(scene.stream, *fields, end=True))
    assert ResponseEnded not in map(type, events)
    scene.is_judged(events, text)


def test_trailers_that_do_not_end_the_stream_are_malformed() -> None:
    scene = Scene()
    trailers = scene.headers(scene.stream, (b"a", b"b"))
    scene.is_judged(scene.say(scene.ok(scene.stream), trailers), "trailers without END_STREAM")


def test_a_second_final_response_is_malformed() -> None:
    scene = Scene()
    scene.is_judged(scene.say(scene.ok(scene.stream), scene.ok(scene.stream)), "trailers without END_STREAM")


def test_an_interim_response_after_the_final_one_is_malformed() -> None:
    scene = Scene()
    late = scene.headers(scene.stream, (b":status", b"103"))
    scene.is_judged(scene.say(scene.ok(scene.stream), late), "trailers without END_STREAM")


def test_trailers_in_several_frames_are_judged_by_the_first_one_s_flags() -> None:
    scene = Scene()
    block = scene.block((b"a", b"b"))
    first = HeadersFrame(scene.stream, block[:1], flags=["END_STREAM"])
    events = scene.say(scene.ok(scene.stream), first, *_continued(scene.stream, block[1:]))
    assert events[-1] == ResponseEnded(scene.stream, [(b"a", b"b")])


LENGTH = (b"content-length", b"5")


def test_a_body_longer_than_declared_is_malformed(end: bool) -> None:
    scene = Scene()
    events = scene.say(
        scene.ok(scene.stream, LENGTH), data(scene.stream, b"12345"), data(scene.stream, b"6", end=end)
    )
    assert DataReceived(scene.stream, b"12345", 5) in events
    assert DataReceived(scene.stream, b"6", 1) not in events
    scene.is_judged(events, "longer")


def test_a_body_shorter_than_declared_is_no_end() -> None:
    scene = Scene()
    events = scene.say(scene.ok(scene.stream, LENGTH), data(scene.stream, b"1234", end=True))
    assert ResponseEnded(scene.stream) not in events
    scene.is_judged(events, "after 4 of 5 bytes")


def test_a_body_cut_short_by_trailers_is_no_end() -> None:
    scene = Scene()
    trailers = scene.headers(scene.stream, (b"a", b"b"), end=True)
    scene.is_judged(
        scene.say(scene.ok(scene.stream, LENGTH), data(scene.stream, b"1234"), trailers), "4 of 5 bytes"
    )


def test_a_head_that_declares_a_body_may_not_end_the_stream() -> None:
    scene = Scene()
    events = scene.say(scene.ok(scene.stream, LENGTH, end=True))
    assert HeadReceived not in map(type, events)
    scene.is_judged(events, "0 of 5 bytes")


def test_padding_does_not_count_for_the_content_length() -> None:
    scene = Scene()
    events = scene.say(scene.ok(scene.stream, LENGTH), data(scene.stream, b"12345", end=True, padding=9))
    assert events[1:] == [DataReceived(scene.stream, b"12345", 15), ResponseEnded(scene.stream)]


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_body_where_there_may_be_none_is_malformed(status: bytes, end: bool) -> None:
    scene = Scene()
    head = scene.headers(scene.stream, (b":status", status))
    scene.is_judged(scene.say(head, data(scene.stream, b"x", end=end)), "longer")


def test_a_body_in_answer_to_head_is_malformed(end: bool) -> None:
    scene = Scene()
    scene.stream = scene.open(HEAD)
    events = scene.say(scene.ok(scene.stream, LENGTH), data(scene.stream, b"12345", end=end))
    scene.is_judged(events, "longer")


def test_a_malformed_response_ends_its_upload(end: bool) -> None:
    scene = Scene()
    scene.stream = scene.open(POST, end=False)
    events = scene.say(scene.headers(scene.stream, (b":status", b"2x0"), end=end))
    assert scene.client.sendable(scene.stream) == 0
    scene.is_judged(events, "invalid :status")


def test_what_comes_after_a_malformed_head_is_dropped_without_a_word() -> None:
    scene = Scene()
    scene.say(scene.headers(scene.stream, (b":status", b"2x0")))
    scene.said()
    head, trailers = scene.ok(scene.stream), scene.headers(scene.stream, (b"a", b"b"))
    assert scene.say(head, data(scene.stream, b"x"), trailers, data(scene.stream, b"y", end=True)) == []
    assert scene.said() == []


def test_the_compression_state_survives_a_malformed_head() -> None:
    scene = Scene()
    remembered = (b"x-remembered", b"for the next response")
    scene.say(scene.headers(scene.stream, (b":status", b"2x0"), remembered))
    (event,) = scene.say(scene.ok(scene.sibling, remembered))
    assert event == HeadReceived(scene.sibling, ResponseHead(200, [remembered]))


def test_the_compression_state_survives_a_head_for_a_stream_that_is_over() -> None:
    scene = Scene()
    remembered = (b"x-remembered", b"for the next response")
    scene.client.cancel(scene.stream)
    scene.say(scene.ok(scene.stream, remembered))
    (event,) = scene.say(scene.ok(scene.sibling, remembered))
    assert event == HeadReceived(scene.sibling, ResponseHead(200, [remembered]))
