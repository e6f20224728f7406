"""Headers: a multi-dict without case, and the check of what may be sent."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenh2._errors import LocalProtocolError
from greenh2._models.headers import TOKEN_CHARS, Headers, check_field

tokens = st.text(st.sampled_from(TOKEN_CHARS.decode()), min_size=1, max_size=12)
values = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=12)


def test_a_header_is_found_whatever_its_case() -> None:
    assert Headers({"Content-Type": "text/html"})["content-TYPE"] == "text/html"


def test_a_missing_header_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="x-missing"):
        Headers({"a": "b"})["x-missing"]


def test_get_returns_none_for_a_missing_header() -> None:
    assert Headers().get("a") is None


def test_get_returns_the_default_for_a_missing_header() -> None:
    assert Headers().get("a", "b") == "b"


def test_get_returns_a_value() -> None:
    assert Headers({"a": "b"}).get("A") == "b"


def test_several_values_are_joined_with_commas() -> None:
    headers = Headers([("Accept", "a"), ("accept", "b"), ("ACCEPT", "c")])
    assert (headers["accept"], headers.get("accept")) == ("a, b, c", "a, b, c")


def test_several_values_can_be_had_apart() -> None:
    assert Headers([("set-cookie", "a=1, 2"), ("Set-Cookie", "b")]).get_list("Set-Cookie") == ["a=1, 2", "b"]


def test_values_can_be_taken_apart_at_commas() -> None:
    assert Headers([("a", "1, 2"), ("a", "3")]).get_list("a", split_commas=True) == ["1", "2", "3"]


def test_a_missing_header_has_an_empty_list() -> None:
    assert Headers().get_list("a") == []


def test_raw_keeps_case_order_and_duplicates() -> None:
    fields = [(b"B", b"1"), (b"a", b"2"), (b"b", b"3")]
    assert Headers(fields).raw == fields


def test_changing_raw_does_not_change_the_headers() -> None:
    headers = Headers({"a": "b"})
    headers.raw.clear()
    assert headers["a"] == "b"


def test_headers_are_made_from_bytes_too() -> None:
    assert Headers({b"a": b"b"}) == Headers({"a": "b"})


def test_headers_made_from_headers_are_their_own() -> None:
    first = Headers({"a": "b"})
    second = Headers(first)
    second["a"] = "c"
    assert first["a"] == "b"


def test_headers_made_from_headers_that_were_looked_up_are_their_own() -> None:
    first = Headers({"a": "b"})
    assert first["a"] == "b"
    second = Headers(first)
    second["a"] = "c"
    assert (first["a"], second["a"]) == ("b", "c")


@pytest.mark.parametrize("bad", [{"a": 1}, {"a": None}, {1: "a"}, [("a", 1.5)]])
def test_what_is_neither_str_nor_bytes_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"of (a|the) header .*is str or bytes"):
        Headers(bad)


def test_setting_replaces_the_first_field_in_place_and_drops_the_others() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3"), ("c", "4"), ("a", "5")])
    headers["A"] = "9"
    assert headers.raw == [(b"A", b"9"), (b"b", b"2"), (b"c", b"4")]


def test_setting_a_new_header_puts_it_last() -> None:
    headers = Headers({"a": "1"})
    headers["B"] = "2"
    assert (headers.raw, headers["b"]) == ([(b"a", b"1"), (b"B", b"2")], "2")


def test_deleting_removes_every_field_of_the_name() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
    del headers["A"]
    assert headers.raw == [(b"b", b"2")]


def test_deleting_a_missing_header_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        del Headers()["a"]


def test_pop_returns_what_it_removes() -> None:
    headers = Headers({"a": "1"})
    assert (headers.pop("A"), "a" in headers) == ("1", False)


def test_setdefault_keeps_what_is_there() -> None:
    headers = Headers({"a": "1"})
    assert (headers.setdefault("A", "2"), headers.setdefault("b", "3")) == ("1", "3")


def test_membership_has_no_case() -> None:
    headers = Headers({"a": "1"})
    assert [key in headers for key in ("A", "b", 1)] == [True, False, False]


def test_the_length_counts_fields() -> None:
    assert len(Headers([("a", "1"), ("a", "2")])) == 2


def test_keys_come_once_and_in_lower_case() -> None:
    headers = Headers([("B", "1"), ("a", "2"), ("b", "3")])
    assert (list(headers), list(headers.keys())) == (["b", "a"], ["b", "a"])


def test_items_and_values_are_joined_by_name() -> None:
    headers = Headers([("B", "1"), ("a", "2"), ("b", "3")])
    assert (list(headers.items()), list(headers.values())) == ([("b", "1, 3"), ("a", "2")], ["1, 3", "2"])


def test_multi_items_keeps_fields_apart() -> None:
    assert Headers([("B", "1"), ("b", "3")]).multi_items() == [("b", "1"), ("b", "3")]


def test_updating_replaces_all_values_of_a_name_and_keeps_several_new_ones() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    headers.update([("A", "8"), ("A", "9"), ("c", "7")])
    assert headers.multi_items() == [("b", "2"), ("a", "8"), ("a", "9"), ("c", "7")]


def test_updating_keeps_the_order_of_names_and_fields_alike() -> None:
    headers = Headers([("a", "1"), ("b", "2")])
    headers.update({"a": "3"})
    assert (list(headers), headers.raw) == (["b", "a"], [(b"b", b"2"), (b"a", b"3")])


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_updating_with_nothing_changes_nothing(nothing: Any) -> None:
    headers = Headers({"a": "1"})
    headers.update(nothing)
    assert headers == {"a": "1"}


def test_updating_a_copy_leaves_several_values_of_the_original_alone() -> None:
    first = Headers([("a", "1"), ("a", "2")])
    assert first["a"] == "1, 2"
    second = first.copy()
    second.append(b"a", b"3")
    assert (first["a"], second["a"]) == ("1, 2", "1, 2, 3")


def test_a_union_leaves_both_sides_alone() -> None:
    left, right = Headers({"a": "1", "b": "2"}), {"B": "3"}
    assert ((left | right).multi_items(), len(left), len(right)) == ([("a", "1"), ("b", "3")], 2, 1)


def test_a_union_may_begin_with_a_mapping() -> None:
    left: Mapping[str, str] = {"a": "1"}
    assert left | Headers({"A": "2"}) == Headers({"a": "2"})


def test_prepend_puts_a_field_first() -> None:
    headers = Headers({"a": "1"})
    headers.prepend(b"Host", b"h")
    assert headers.raw == [(b"Host", b"h"), (b"a", b"1")]


def test_append_puts_a_field_last() -> None:
    headers = Headers({"a": "1"})
    headers.append(b"A", b"2")
    assert headers.raw == [(b"a", b"1"), (b"A", b"2")]


@pytest.mark.parametrize("name", [b"b", b"A"])
def test_prepending_after_a_lookup_is_seen(name: bytes) -> None:
    headers = Headers({"a": "1"})
    assert headers["a"] == "1"
    headers.prepend(name, b"2")
    assert (headers.get_list(name.decode())[0], next(iter(headers))) == ("2", name.decode().lower())


@pytest.mark.parametrize("name", [b"b", b"A"])
def test_appending_after_a_lookup_is_seen(name: bytes) -> None:
    headers = Headers({"a": "1"})
    assert headers["a"] == "1"
    headers.append(name, b"2")
    assert headers.get_list(name.decode())[-1] == "2"


def test_headers_are_equal_whatever_their_order_and_case() -> None:
    assert Headers([("A", "1"), ("b", "2")]) == Headers([("B", "2"), ("a", "1")])


@pytest.mark.parametrize("other", [{"a": "2"}, {"a": 1}, [("a", "1"), ("a", "1")], ["a"], 5, None])
def test_headers_differ_from_other_things(other: object) -> None:
    assert Headers({"a": "1"}) != other


@pytest.mark.parametrize("other", [{"A": "1"}, [("a", "1")], (("a", "1"),)])
def test_headers_equal_what_they_could_be_made_from(other: object) -> None:
    assert Headers({"a": "1"}) == other


def test_headers_have_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Headers())


def test_received_fields_are_taken_over_as_they_are() -> None:
    fields = [(b"a", b" \xff ")]
    assert Headers.from_raw(fields).raw == fields


@pytest.mark.parametrize(
    ("value", "encoding", "text"),
    [
        (b"abc", "ascii", "abc"),
        ("ü".encode(), "utf-8", "ü"),
        (b"\xfc", "iso-8859-1", "ü"),
    ],
)
def test_values_are_decoded_as_fits(value: bytes, encoding: str, text: str) -> None:
    headers = Headers.from_raw([(b"a", value)])
    assert (headers.encoding, headers["a"]) == (encoding, text)


def test_an_encoding_can_be_set() -> None:
    headers = Headers.from_raw([(b"a", "ü".encode())])
    headers.encoding = "iso-8859-1"
    assert (headers.encoding, headers["a"]) == ("iso-8859-1", "Ã¼")


def test_an_encoding_can_be_given() -> None:
    assert Headers({"a": "ü"}, encoding="iso-8859-1").raw == [(b"a", b"\xfc")]


def test_a_name_outside_utf8_can_be_listed() -> None:
    assert Headers.from_raw([(b"\xfc", b"x")]).items() == {"ü": "x"}.items()


def test_the_repr_shows_what_there_is() -> None:
    assert repr(Headers({"A": "b"})) == "Headers({'a': 'b'})"


def test_the_repr_shows_duplicates() -> None:
    assert repr(Headers([("a", "1"), ("a", "2")])) == "Headers([('a', '1'), ('a', '2')])"


def test_the_repr_shows_an_encoding_other_than_ascii() -> None:
    assert repr(Headers({"a": "ü"})) == "Headers({'a': 'ü'}, encoding='utf-8')"


@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"])
def test_the_repr_hides_secrets(name: str) -> None:
    assert repr(Headers({name: "hush"})) == f"Headers({{'{name.lower()}': '[secure]'}})"


def test_headers_can_be_pickled() -> None:
    headers = Headers([("A", "1"), ("a", "2")])
    assert pickle.loads(pickle.dumps(headers)).raw == headers.raw


@settings(deadline=None)
@given(st.lists(st.tuples(tokens, values)))
def test_whatever_goes_in_comes_out(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    assert headers.multi_items() == [(name.lower(), value) for name, value in pairs]
    assert [headers.get_list(name) for name in headers] == [
        [value for name, value in pairs if name.lower() == key]
        for key in dict.fromkeys(name.lower() for name, _ in pairs)
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(tokens, values)), st.lists(st.tuples(tokens, values)))
def test_a_lookup_in_between_changes_nothing(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    looked_up, untouched = Headers(first), Headers(first)
    list(looked_up.items())
    looked_up.update(second)
    untouched.update(second)
    fresh = Headers.from_raw(untouched.raw)
    assert looked_up.raw == fresh.raw
    assert list(looked_up.items()) == list(fresh.items())


def test_white_space_around_a_value_is_not_sent() -> None:
    assert check_field(b"a", b" \tb c\t ") == b"b c"


def test_a_tab_and_bytes_outside_ascii_within_a_value_are_sent() -> None:
    assert check_field(b"a", b"b\tc\xff") == b"b\tc\xff"


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":path", b"a\r\nb", "ü".encode(), b"a\0", b"a("])
def test_a_name_that_is_no_token_is_refused(name: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="name of a header"):
        check_field(name, b"x")


@pytest.mark.parametrize("bad", [b"\r\nEvil: yes", b"\n", b"\r", b"\r\n continued"])
def test_a_line_break_in_a_value_is_refused(bad: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="'X-Name' holds a line break"):
        check_field(b"X-Name", b"a" + bad + b"b")


@pytest.mark.parametrize("bad", [b"\0", b"\x01", b"\x0b", b"\x7f"])
def test_a_control_character_in_a_value_is_refused(bad: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="'X-Name' holds a control character"):
        check_field(b"X-Name", b"a" + bad + b"b")


def test_the_refusal_of_a_value_does_not_show_it() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check_field(b"Authorization", b"secret\n")
    assert "secret" not in str(caught.value)


def test_a_line_break_at_the_end_of_a_value_is_no_white_space() -> None:
    with pytest.raises(LocalProtocolError):
        check_field(b"a", b"b\r\n")


@settings(deadline=None)
@given(tokens, st.binary(max_size=20))
def test_what_passes_the_check_cannot_break_a_message(name: str, value: bytes) -> None:
    with suppress(LocalProtocolError):
        assert not set(check_field(name.encode(), value)) & {0, 10, 13}


def test_checking_strips_values_in_place() -> None:
    headers = Headers({"a": " b "})
    assert headers["a"] == " b "
    headers.check()
    assert headers["a"] == "b"


def test_checking_refuses_a_bad_field() -> None:
    with pytest.raises(LocalProtocolError):
        Headers({"a": "b\n"}).check()


@pytest.mark.parametrize("change", ["__setitem__", "setdefault"])
def test_a_change_after_the_check_is_checked_again(change: str) -> None:
    headers = Headers({"a": "b"})
    headers.check()
    getattr(headers, change)("c", "d\n")
    with pytest.raises(LocalProtocolError):
        headers.check()


def test_an_update_after_the_check_is_checked_again() -> None:
    headers = Headers({"a": "b"})
    headers.check()
    headers.update({"c": "d\n"})
    with pytest.raises(LocalProtocolError):
        headers.check()


@pytest.mark.parametrize("change", ["prepend", "append"])
def test_a_field_added_to_either_end_is_checked_at_once(change: str) -> None:
    with pytest.raises(LocalProtocolError):
        getattr(Headers(), change)(b"a", b"b\n")


def test_a_check_that_was_passed_holds_for_copies() -> None:
    headers = Headers({"a": "b"})
    headers.check()
    copy = headers.copy()
    copy.check()
    assert copy.raw == headers.raw


@pytest.mark.parametrize("key", [None, 5, b"a"])
def test_looking_up_what_is_no_str_says_so(key: Any) -> None:
    headers = Headers({"a": "1"})
    assert key not in headers
    for look in (headers.__getitem__, headers.get, headers.get_list, headers.__delitem__):
        with pytest.raises(TypeError, match="Headers are looked up by a str, not by"):
            look(key)


def test_a_name_that_cannot_be_encoded_is_no_header() -> None:
    headers = Headers({"a": "1"})
    assert ("\udcff" in headers, headers.get("\udcff"), headers.get_list("\udcff")) == (False, None, [])
    with pytest.raises(KeyError):
        headers["\udcff"]


@pytest.mark.parametrize(
    ("headers", "encoding", "told"),
    [
        ({"X-A": "hunter2\udcff"}, None, "value of the header 'X-A' cannot be written in utf-8"),
        ({"\udcff": "1"}, None, "name of the header .* cannot be written in utf-8"),
        ({"X-A": "hunter2é"}, "ascii", "value of the header 'X-A' cannot be written in ascii"),
        ({}, "tea", "encoding of headers is 'tea', which Python does not know"),
        ({}, "", "encoding of headers is '', which Python does not know"),
    ],
)
def test_text_that_cannot_be_encoded_is_refused_by_name_and_not_shown(
    headers: dict[str, str], encoding: str | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Headers(headers, encoding)
    assert "hunter2" not in str(caught.value)


def test_the_encoding_of_headers_is_the_name_of_one() -> None:
    headers = Headers()
    with pytest.raises(TypeError, match="encoding of headers is a str or None, not 5"):
        headers.encoding = 5  # type: ignore[assignment]  # what is tested
    with pytest.raises(TypeError, match="encoding of headers is a str or None, not 0"):
        Headers(encoding=0)  # type: ignore[arg-type]  # what is tested
