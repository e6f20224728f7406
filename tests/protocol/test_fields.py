"""Field lines of HTTP/2: what a request looks like on the wire, and which of a response's are malformed."""

from __future__ import annotations

import pytest
from hpack import NeverIndexedHeaderTuple

from greenh2._protocol.events import Fields, RequestHead
from greenh2._protocol.fields import (
    MAX_FIELD_LINES,
    Malformed,
    check_fields,
    content_length,
    pseudo_fields,
    regular_fields,
    section_size,
    split_status,
)


def _wire(*fields: tuple[bytes, bytes]) -> Fields:
    host, regular = regular_fields(fields)
    return [*pseudo_fields(RequestHead(b"GET", b"https", b"example.org", b"/a?b", []), host), *regular]


def test_a_request_begins_with_its_pseudo_fields() -> None:
    assert _wire((b"Accept", b"*/*")) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/a?b"),
        (b"accept", b"*/*"),
    ]


def test_host_becomes_the_authority_and_is_not_sent_twice() -> None:
    wire = _wire((b"Host", b"other.example"), (b"Accept", b"*/*"))
    assert (b":authority", b"other.example") in wire
    assert [name for name, _ in wire].count(b"host") == 0


def test_names_are_sent_in_lower_case_and_values_as_they_are() -> None:
    assert _wire((b"X-Mixed", b"VaLuE"))[4:] == [(b"x-mixed", b"VaLuE")]


def test_fields_keep_their_order_and_their_duplicates() -> None:
    fields = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert _wire(*fields)[4:] == fields


@pytest.mark.parametrize(
    "name", [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"Transfer-Encoding", b"Upgrade"]
)
def test_fields_that_speak_of_an_http_1_connection_are_not_sent(name: bytes) -> None:
    assert _wire((name, b"x"))[4:] == []


def test_te_is_not_sent_with_any_value_but_trailers() -> None:
    assert _wire((b"TE", b"gzip"))[4:] == []


def test_te_trailers_is_sent() -> None:
    assert _wire((b"TE", b"Trailers"))[4:] == [(b"te", b"Trailers")]


@pytest.mark.parametrize("name", [b"Authorization", b"Proxy-Authorization", b"Cookie", b"Set-Cookie"])
def test_secrets_are_never_indexed(name: bytes) -> None:
    assert isinstance(regular_fields([(name, b"secret")])[1][0], NeverIndexedHeaderTuple)


def test_what_is_no_secret_may_be_indexed() -> None:
    assert not isinstance(regular_fields([(b"accept", b"*/*")])[1][0], NeverIndexedHeaderTuple)


def test_a_field_section_is_measured_with_32_bytes_for_each_line() -> None:
    assert section_size([(b"ab", b"cde"), (b"", b"")]) == 5 + 64


def test_the_status_is_split_from_the_other_fields() -> None:
    assert split_status([(b":status", b"404"), (b"a", b"b")]) == (404, [(b"a", b"b")])


@pytest.mark.parametrize("status", [b"100", b"103", b"200", b"599", b"999"])
def test_any_three_digits_from_100_are_a_status(status: bytes) -> None:
    assert split_status([(b":status", status)]) == (int(status), [])


@pytest.mark.parametrize(
    "status", [b"", b"20", b"2000", b"2x0", b"+20", b" 20", b"099", b"000", b"101", b"\xb2\xb2\xb2"]
)
def test_what_is_no_status_of_http_2_is_malformed(status: bytes) -> None:
    with pytest.raises(Malformed, match="invalid :status"):
        split_status([(b":status", status)])


@pytest.mark.parametrize(
    "fields", [[], [(b"a", b"b")], [(b"a", b"b"), (b":status", b"200")], [(b"status", b"200")]]
)
def test_a_response_without_a_status_first_is_malformed(fields: Fields) -> None:
    with pytest.raises(Malformed, match="no :status"):
        split_status(fields)


@pytest.mark.parametrize("extra", [(b":status", b"200"), (b":path", b"/"), (b":unknown", b"")])
def test_a_second_pseudo_field_is_malformed(extra: tuple[bytes, bytes]) -> None:
    with pytest.raises(Malformed, match="field name"):
        split_status([(b":status", b"200"), extra])


@pytest.mark.parametrize(
    "name", [b"", b"Upper", b"a b", b"a:b", b":a", b"a\r", b"a\n", b"a\0", b"a\x7f", b"\xe4", b" a", b"\x1fa"]
)
def test_a_name_with_a_forbidden_character_is_malformed(name: bytes) -> None:
    with pytest.raises(Malformed, match="field name"):
        check_fields([(name, b"value")])


@pytest.mark.parametrize("value", [b"a\0b", b"a\rb", b"a\nb", b" a", b"a ", b"\ta", b"a\t", b"a\n"])
def test_a_value_with_a_forbidden_character_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed, match="value of the field b'name'"):
        check_fields([(b"name", value)])


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"\xff\xfe", b"\x7f", b"\x01"])
def test_every_other_value_is_taken_as_it_is(value: bytes) -> None:
    check_fields([(b"name", value)])


def test_the_message_about_a_value_does_not_show_it() -> None:
    with pytest.raises(Malformed) as caught:
        check_fields([(b"set-cookie", b"secret\0")])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te"]
)
def test_a_field_that_speaks_of_an_http_1_connection_is_malformed(name: bytes) -> None:
    with pytest.raises(Malformed, match="connection-specific"):
        check_fields([(name, b"chunked")])


def test_as_many_field_lines_as_allowed_are_taken() -> None:
    check_fields([(b"a", b"b")] * MAX_FIELD_LINES)


def test_more_field_lines_than_allowed_are_malformed() -> None:
    with pytest.raises(Malformed, match="field lines"):
        check_fields([(b"a", b"b")] * (MAX_FIELD_LINES + 1))


def test_a_response_without_content_length_declares_none() -> None:
    assert content_length([(b"a", b"1")]) is None


@pytest.mark.parametrize("value", [b"0", b"12", b"007", b"999999999999999999"])
def test_the_content_length_is_read(value: bytes) -> None:
    assert content_length([(b"content-length", value)]) == int(value)


def test_a_repeated_equal_content_length_is_one() -> None:
    assert content_length([(b"content-length", b"5"), (b"content-length", b"05")]) == 5


def test_two_content_lengths_that_differ_are_malformed() -> None:
    with pytest.raises(Malformed, match="two different"):
        content_length([(b"content-length", b"5"), (b"content-length", b"6")])


@pytest.mark.parametrize("value", [b"", b"+3", b"-3", b"0x3", b"3,3", b"3.0", b"3 ", b"\xb2", b"1" * 19])
def test_a_content_length_that_is_no_number_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed, match="not a number"):
        content_length([(b"content-length", value)])
