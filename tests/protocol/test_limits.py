"""What a server allows: how many streams, how large a head, how large a table; and how many streams there can be."""

from __future__ import annotations

import tracemalloc
from math import inf
from struct import pack

import pytest
from h2.events import RequestReceived
from h2.settings import SettingCodes
from hpack import Decoder
from hyperframe.frame import SettingsFrame

from greenh2._errors import LocalProtocolError
from greenh2._protocol.events import CapacityChanged, RequestHead, WindowOpened
from greenh2._protocol.frames import FrameType, frame_bytes
from greenh2._protocol.http2 import Http2Protocol
from greenh2._protocol.machine import INITIAL_STREAMS
from tests.protocol.peers import GET, POST, Script, Talk, receive

STREAMS = SettingCodes.MAX_CONCURRENT_STREAMS
HEADER_LIST = SettingCodes.MAX_HEADER_LIST_SIZE
CHANGED = [CapacityChanged(), WindowOpened(0)]


def _settings(**values: int) -> SettingsFrame:
    return SettingsFrame(0, {int(SettingCodes[name]): value for name, value in values.items()})


def test_before_the_server_has_spoken_few_streams_are_opened() -> None:
    client = Http2Protocol("https://example.org")
    assert client.streams_allowed == INITIAL_STREAMS
    assert client.greeting


def test_a_request_may_be_sent_before_the_server_has_spoken() -> None:
    client = Http2Protocol("https://example.org")
    assert client.open(GET, end=True) == 1
    assert client.outgoing()


def test_the_server_s_settings_end_the_greeting() -> None:
    script = Script(greeted=False)
    assert script.say(SettingsFrame(0)) == CHANGED
    assert not script.client.greeting


def test_a_connection_that_is_over_is_not_in_greeting() -> None:
    client = Http2Protocol("https://example.org")
    receive(client, b"")
    assert not client.greeting


def test_several_streams_may_share_a_connection() -> None:
    assert Http2Protocol("https://example.org").multiplexed


def test_settings_without_a_limit_set_none() -> None:
    assert Talk().client.streams_allowed == inf


@pytest.mark.parametrize("limit", [0, 1, 100, 2**31, 2**32 - 1])
def test_the_limit_is_the_server_s(limit: int) -> None:
    assert Talk({STREAMS: limit}).client.streams_allowed == limit


def test_later_settings_that_do_not_name_the_limit_leave_it() -> None:
    talk = Talk({STREAMS: 7})
    talk.server.update_settings({HEADER_LIST: 1000})
    talk.carry()
    assert talk.client.streams_allowed == 7


@pytest.mark.parametrize("limit", [0, 1, 500])
def test_a_limit_that_changes_is_told(limit: int) -> None:
    talk = Talk({STREAMS: 7})
    talk.server.update_settings({STREAMS: limit})
    assert talk.carry() == CHANGED
    assert talk.client.streams_allowed == limit


def test_a_limit_below_what_is_open_ends_no_stream() -> None:
    talk = Talk({STREAMS: 10})
    streams = [talk.open() for _ in range(5)]
    talk.server.update_settings({STREAMS: 1})
    assert talk.carry() == CHANGED
    assert all(talk.answer(stream_id, end=True) for stream_id in streams)


def test_a_stream_that_has_ended_makes_room_for_another() -> None:
    talk = Talk({STREAMS: 1})
    for _ in range(20):
        talk.answer(talk.open(), end=True)
    assert len(talk.saw(RequestReceived)) == 20


def test_a_stream_that_was_cancelled_makes_room_for_another() -> None:
    talk = Talk({STREAMS: 1})
    for _ in range(20):
        talk.client.cancel(talk.open())
        talk.carry()
    assert len(talk.saw(RequestReceived)) == 20


def test_a_stream_whose_upload_was_stopped_makes_room_for_another() -> None:
    talk = Talk({STREAMS: 1})
    for _ in range(20):
        stream_id = talk.open(POST, end=False)
        talk.answer(stream_id, end=True)
        talk.client.stop_sending(stream_id)
        talk.carry()
    assert len(talk.saw(RequestReceived)) == 20


def _head(size: int) -> RequestHead:
    """Make a request whose fields take this many bytes, by RFC 9113 section 6.5.2."""
    bare = sum(
        map(len, (b":method", b"GET", b":scheme", b"https", b":authority", b"a", b":path", b"/", b"x"))
    )
    return RequestHead(b"GET", b"https", b"a", b"/", [(b"x", b"v" * (size - bare - 5 * 32))])


def test_fields_as_large_as_the_server_takes_are_sent() -> None:
    talk = Talk({HEADER_LIST: 1000})
    talk.open(_head(1000))
    assert len(talk.saw(RequestReceived)) == 1


def test_fields_larger_than_the_server_takes_are_not_sent() -> None:
    talk = Talk({HEADER_LIST: 1000})
    with pytest.raises(LocalProtocolError, match=r"take 1001 bytes; .*accepts at most 1000"):
        talk.client.open(_head(1001), end=True)
    assert talk.client.outgoing() == b""


def test_a_request_that_was_not_sent_takes_no_stream_id_and_does_no_harm() -> None:
    talk = Talk({HEADER_LIST: 1000, STREAMS: 1})
    with pytest.raises(LocalProtocolError):
        talk.client.open(_head(2000), end=True)
    assert not talk.client.retired
    stream_id = talk.open()
    assert stream_id == 1
    assert talk.answer(stream_id, end=True)


def test_a_server_that_names_no_size_takes_all() -> None:
    talk = Talk()
    talk.server.decoder.max_header_list_size = 2**20
    talk.open(_head(200_000))
    assert len(talk.saw(RequestReceived)) == 1


def test_a_server_s_huge_table_is_not_used() -> None:
    talk = Talk({SettingCodes.HEADER_TABLE_SIZE: 2**32 - 1})
    talk.open(RequestHead(b"GET", b"https", b"a", b"/", [(b"x", b"v" * 5000)]))
    talk.open(RequestHead(b"GET", b"https", b"a", b"/", [(b"x", b"v" * 5000)]))
    assert not any(name == b"x" for name, _ in talk.server.decoder.header_table.dynamic_entries)


def test_a_server_s_small_table_is_heeded() -> None:
    script = Script()
    script.say(_settings(HEADER_TABLE_SIZE=0))
    script.said()
    script.client.open(GET, end=True)
    (frame,) = script.said()
    assert frame.serialize()[9:].startswith(b"\x20")


def test_a_table_that_was_small_for_a_moment_only_is_emptied_all_the_same() -> None:
    script = Script()
    for _ in range(3):
        script.open()
    size = int(SettingCodes.HEADER_TABLE_SIZE)
    script.say(frame_bytes(FrameType.SETTINGS, 0, 0, pack("!HLHL", size, 0, size, 4096)))
    script.said()
    script.client.open(GET, end=True)
    (frame,) = script.said()
    block = frame.serialize()[9:]
    assert block.startswith(b"\x20\x3f\xe1\x1f")  # to 0, and to 4096
    assert (b":path", b"/") in [(field[0], field[1]) for field in Decoder().decode(block, raw=True)]


def test_requests_are_understood_while_the_table_changes() -> None:
    talk = Talk()
    for size in (0, 4096, 100, 100, 2**20, 0):
        talk.server.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        talk.carry()
        talk.open()
    assert len(talk.saw(RequestReceived)) == 6


def test_settings_that_nobody_knows_are_ignored() -> None:
    script = Script()
    assert script.say(SettingsFrame(0, {0xF0F0: 5})) == CHANGED


def test_settings_that_nobody_knows_take_no_memory() -> None:
    script = Script()
    strange = frame_bytes(
        FrameType.SETTINGS, 0, 0, b"".join(pack("!HL", code, 1) for code in range(1000, 11000))
    )
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert script.say(strange) == CHANGED
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_connection_whose_stream_ids_are_used_up_is_retired() -> None:
    client = Script().client
    client._streams.next_id = 2**31 - 3  # nobody opens a thousand million streams first
    assert client.open(GET, end=True) == 2**31 - 3
    assert not client.retired
    assert client.open(GET, end=True) == 2**31 - 1
    assert client.retired


def test_streams_still_finish_on_a_connection_whose_ids_are_used_up() -> None:
    script = Script()
    script.client._streams.next_id = 2**31 - 1
    stream_id = script.open()
    assert len(script.say(script.ok(stream_id, end=True))) == 2
