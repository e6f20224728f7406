"""Content-Type and Link, taken apart."""

from __future__ import annotations

import codecs
from typing import Any

import pytest

from greenh2._models.parameters import charset_of, is_text_encoding, parse_links


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html", None),
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html;charset=UTF-8", "utf-8"),
        ('text/html; charset="iso-8859-1"', "iso-8859-1"),
        ("text/html; boundary=x; charset=latin-1", "latin-1"),
        ('text/html; a="x;charset=no"; charset=yes', "yes"),
        ("text/html; garbage; charset=utf-8", "utf-8"),
        ("text/html; charset='utf-8'", "utf-8"),
        ("text/html; charset=", None),
        ("text/html; charset = utf-8", "utf-8"),
        ("text/html; charset=a; charset=b", "a"),
        ("text/html;", None),
        ("", None),
    ],
)
def test_the_charset_of_a_content_type(content_type: str, charset: str | None) -> None:
    assert charset_of(content_type) == charset


@pytest.mark.parametrize("name", ["utf-8", "latin-1", "utf-16", "shift_jis", "ASCII"])
def test_an_encoding_for_text_is_known(name: str) -> None:
    assert is_text_encoding(name)


@pytest.mark.parametrize("name", ["hex", "rot13", "no-such", "undefined", "a\0b", "idna"])
def test_what_does_not_decode_text_is_no_text_encoding(name: str) -> None:
    assert not is_text_encoding(name)


def test_a_link_is_found_by_its_relation() -> None:
    assert parse_links('</2>; rel="next"') == {"next": {"url": "/2", "rel": "next"}}


def test_several_links_are_told_apart() -> None:
    links = parse_links('<https://h/2>; rel=next; title="a, b; c", <https://h/9>; rel="last"')
    assert links == {
        "next": {"url": "https://h/2", "rel": "next", "title": "a, b; c"},
        "last": {"url": "https://h/9", "rel": "last"},
    }


def test_a_link_without_relation_is_found_by_its_url() -> None:
    assert parse_links("</style.css>; as=style") == {"/style.css": {"url": "/style.css", "as": "style"}}


def test_a_comma_within_a_target_does_not_end_it() -> None:
    assert list(parse_links("</a,b>; rel=x, </c>; rel=y")) == ["x", "y"]


def test_a_quoted_character_loses_its_backslash() -> None:
    assert parse_links(r'</a>; rel=x; title="a \"b\""')["x"]["title"] == 'a "b"'


def test_the_first_of_a_repeated_parameter_counts() -> None:
    assert list(parse_links("</a>; rel=x; rel=y")) == ["x"]


def test_apostrophes_quote_as_well() -> None:
    assert parse_links("</a>; rel='next'; title='it's'") == {
        "next": {"url": "/a", "rel": "next", "title": "it's"}
    }


def test_an_empty_link_header_has_no_links() -> None:
    assert parse_links("") == {}


def test_a_link_that_does_not_parse_is_left_out() -> None:
    assert parse_links("garbage") == {}


def test_garbage_between_links_is_passed_over() -> None:
    assert list(parse_links("</a>; rel=x; !!!, </b>; rel=y")) == ["x", "y"]


def test_an_encoding_that_does_not_heed_replacement_is_none_for_text() -> None:
    def refuse(data: Any, errors: str = "strict") -> tuple[str, int]:
        raise UnicodeError("no errors but strict ones")

    def stubborn(name: str) -> codecs.CodecInfo | None:
        return codecs.CodecInfo(codecs.ascii_encode, refuse, name=name) if name == "stubborn" else None

    codecs.register(stubborn)
    try:
        assert not is_text_encoding("stubborn")
    finally:
        codecs.unregister(stubborn)
