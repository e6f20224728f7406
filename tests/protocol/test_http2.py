"""Http2Protocol: requests and responses as they should be, against a stock h2 server."""

from __future__ import annotations

import pytest
from h2.events import DataReceived as ServerData
from h2.events import RemoteSettingsChanged, RequestReceived, SettingsAcknowledged, StreamEnded
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, SettingsFrame

from greenh2._protocol.events import (
    DataReceived,
    HeadReceived,
    InterimReceived,
    RequestHead,
    ResponseEnded,
    ResponseHead,
)
from greenh2._protocol.http2 import Http2Protocol
from greenh2._protocol.machine import MAX_FRAME_SIZE
from tests.protocol.peers import (
    GET,
    HEAD,
    POST,
    PREFACE,
    Script,
    Talk,
    data,
    only,
    parse,
)

# -- greeting ----------------------------------------------------------------------------------------------------


def test_the_client_speaks_first_with_preface_and_settings() -> None:
    wire = Http2Protocol("https://example.org").outgoing()
    assert wire.startswith(PREFACE)
    assert isinstance(parse(wire)[0], SettingsFrame)


def test_push_is_disabled_by_the_settings() -> None:
    (changed,) = Talk().saw(RemoteSettingsChanged)
    assert changed.changed_settings[SettingCodes.ENABLE_PUSH].new_value == 0


def test_the_server_s_settings_are_acknowledged() -> None:
    assert len(Talk().saw(SettingsAcknowledged)) == 1


def test_later_settings_are_acknowledged_as_well() -> None:
    talk = Talk()
    talk.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 5})
    talk.carry()
    assert len(talk.saw(SettingsAcknowledged)) == 2


def test_what_is_to_be_written_is_told_once() -> None:
    client = Http2Protocol("https://example.org")
    assert client.outgoing()
    assert not client.outgoing()


def test_reading_never_pauses_because_windows_do_that() -> None:
    assert Http2Protocol("https://example.org").wants_data


# -- requests ----------------------------------------------------------------------------------------------------


def test_a_request_arrives_as_it_was_given() -> None:
    talk = Talk()
    talk.open(RequestHead(b"PUT", b"https", b"example.org", b"/a?b=c", [(b"X-Name", b"Value")]))
    (request,) = talk.saw(RequestReceived)
    assert request.headers == [
        (b":method", b"PUT"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/a?b=c"),
        (b"x-name", b"Value"),
    ]


def test_a_request_without_a_body_is_one_frame() -> None:
    script = Script()
    script.client.open(GET, end=True)
    (frame,) = script.said()
    assert isinstance(frame, HeadersFrame)
    assert "END_STREAM" in frame.flags


def test_stream_ids_are_odd_and_rise() -> None:
    talk = Talk()
    assert [talk.open(), talk.open(), talk.open()] == [1, 3, 5]


def test_a_body_is_sent_and_ended() -> None:
    talk = Talk()
    stream_id = talk.open(POST, end=False)
    talk.client.send(stream_id, b"abc", end=False)
    talk.client.send(stream_id, b"def", end=True)
    talk.carry()
    assert b"".join(event.data or b"" for event in talk.saw(ServerData)) == b"abcdef"
    assert len(talk.saw(StreamEnded)) == 1


def test_the_last_piece_of_a_body_carries_the_end() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.send(stream_id, b"abc", end=True)
    (frame,) = script.said()
    assert "END_STREAM" in frame.flags


def test_a_body_of_unknown_length_is_ended_by_an_empty_frame() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.send(stream_id, b"", end=True)
    (frame,) = only(script.said(), DataFrame)
    assert (frame.data, "END_STREAM" in frame.flags) == (b"", True)


def test_large_request_fields_are_continued_without_a_gap() -> None:
    script = Script()
    script.client.open(
        RequestHead(b"GET", b"https", b"example.org", b"/", [(b"a", b"\x01" * 20_000)]), end=True
    )
    kinds: list[type[Frame]] = [type(frame) for frame in script.said()]
    assert kinds[0] is HeadersFrame
    assert len(kinds) > 1
    assert set(kinds[1:]) == {ContinuationFrame}


def test_large_request_fields_arrive() -> None:
    talk = Talk()
    talk.server.decoder.max_header_list_size = 2**20
    talk.open(RequestHead(b"GET", b"https", b"example.org", b"/", [(b"a", b"\xff" * 50_000)]))
    assert (b"a", b"\xff" * 50_000) in talk.saw(RequestReceived)[0].headers


def test_nothing_is_sent_on_a_stream_that_is_over() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.cancel(stream_id)
    script.said()
    script.client.send(stream_id, b"late", end=True)
    assert not script.said()


# -- responses ---------------------------------------------------------------------------------------------------


def test_a_response_without_a_body_is_a_head_and_its_end() -> None:
    talk = Talk()
    stream_id = talk.open()
    assert talk.answer(stream_id, (b"server", b"h2"), end=True) == [
        HeadReceived(stream_id, ResponseHead(200, [(b"server", b"h2")])),
        ResponseEnded(stream_id),
    ]


def test_a_response_with_a_body_and_trailers_comes_in_its_order() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.server.send_headers(stream_id, [(b":status", b"201")])
    talk.server.send_data(stream_id, b"body")
    talk.server.send_headers(stream_id, [(b"checksum", b"1"), (b"checksum", b"2")], end_stream=True)
    assert talk.carry() == [
        HeadReceived(stream_id, ResponseHead(201, [])),
        DataReceived(stream_id, b"body", 4),
        ResponseEnded(stream_id, [(b"checksum", b"1"), (b"checksum", b"2")]),
    ]


def test_a_response_may_end_with_its_last_data() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.answer(stream_id, (b"content-length", b"4"))
    talk.server.send_data(stream_id, b"body", end_stream=True)
    assert talk.carry() == [DataReceived(stream_id, b"body", 4), ResponseEnded(stream_id)]


def test_a_response_may_be_ended_by_an_empty_frame() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.answer(stream_id)
    talk.server.end_stream(stream_id)
    assert talk.carry() == [ResponseEnded(stream_id)]


def test_a_trailers_only_response_has_a_head_and_no_trailers() -> None:
    talk = Talk()
    stream_id = talk.open()
    assert talk.answer(stream_id, (b"grpc-status", b"5"), end=True)[1] == ResponseEnded(stream_id, [])


def test_responses_may_come_in_another_order_than_their_requests() -> None:
    talk = Talk()
    first, second = talk.open(), talk.open()
    events = talk.answer(second, end=True) + talk.answer(first, end=True)
    assert [event.stream_id for event in events if isinstance(event, HeadReceived)] == [second, first]


def test_repeated_fields_are_kept_apart_and_in_order() -> None:
    talk = Talk()
    cookies = [(b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")]
    (event, _) = talk.answer(talk.open(), *cookies, end=True)
    assert isinstance(event, HeadReceived)
    assert event.head.fields == cookies


def test_interim_responses_are_told_and_skipped() -> None:
    talk = Talk()
    stream_id = talk.open(POST, end=False)
    for status in (b"100", b"102", b"103", b"150", b"199"):
        talk.server.send_headers(stream_id, [(b":status", status), (b"link", b"</a>")])
    assert talk.carry() == [InterimReceived(stream_id)] * 5
    assert talk.answer(stream_id)[0] == HeadReceived(stream_id, ResponseHead(200, []))


def test_a_large_response_head_is_continued() -> None:
    talk = Talk()
    fields = [(b"x-%d" % number, b"\xff" * 1000) for number in range(24)]
    (event, _) = talk.answer(talk.open(), *fields, end=True)
    assert isinstance(event, HeadReceived)
    assert event.head.fields == fields


def test_the_largest_frame_that_was_announced_is_taken() -> None:
    talk = Talk()
    stream_id = talk.open()
    talk.answer(stream_id)
    assert talk.server.max_outbound_frame_size == MAX_FRAME_SIZE
    talk.server.send_data(stream_id, bytes(MAX_FRAME_SIZE))
    assert talk.carry() == [DataReceived(stream_id, bytes(MAX_FRAME_SIZE), MAX_FRAME_SIZE)]


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_response_that_has_no_body_may_declare_one(status: bytes) -> None:
    script = Script()
    stream_id = script.open()
    head = script.headers(stream_id, (b":status", status), (b"content-length", b"5"), end=True)
    assert script.say(head)[-1] == ResponseEnded(stream_id)


def test_a_response_to_head_may_declare_a_body() -> None:
    script = Script()
    stream_id = script.open(HEAD)
    assert script.say(script.ok(stream_id, (b"content-length", b"5"), end=True))[-1] == ResponseEnded(
        stream_id
    )


def test_a_response_to_head_may_be_ended_by_an_empty_frame() -> None:
    script = Script()
    stream_id = script.open(HEAD)
    events = script.say(script.ok(stream_id, (b"content-length", b"5")), data(stream_id, end=True))
    assert events[-1] == ResponseEnded(stream_id)


def test_nothing_is_sent_after_the_end_of_a_body() -> None:
    script = Script()
    stream_id = script.open(POST, end=False)
    script.client.send(stream_id, b"abc", end=True)
    script.said()
    script.client.send(stream_id, b"late", end=True)
    assert script.client.sendable(stream_id) == 0
    assert not script.said()
