"""URL: parsing, normalising, copying, joining, and what it refuses."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenh2._errors import InvalidURL
from greenh2._models.query import QueryParams
from greenh2._models.url import URL

FULL = "https://jo%40e.org:a%20secret@Example.ORG:8443/a%20path/x?q=1&r=2#frag%20ment"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("scheme", "https"),
        ("raw_scheme", b"https"),
        ("userinfo", b"jo%40e.org:a%20secret"),
        ("username", "jo@e.org"),
        ("password", "a secret"),
        ("host", "example.org"),
        ("raw_host", b"example.org"),
        ("port", 8443),
        ("netloc", b"example.org:8443"),
        ("authority", b"example.org:8443"),
        ("origin", "https://example.org:8443"),
        ("path", "/a path/x"),
        ("raw_path", b"/a%20path/x?q=1&r=2"),
        ("query", b"q=1&r=2"),
        ("params", QueryParams("q=1&r=2")),
        ("fragment", "frag ment"),
        ("is_absolute_url", True),
        ("is_relative_url", False),
    ],
)
def test_a_url_has_all_its_parts(part: str, value: object) -> None:
    assert getattr(URL(FULL), part) == value


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("scheme", ""),
        ("userinfo", b""),
        ("username", ""),
        ("password", ""),
        ("host", ""),
        ("raw_host", b""),
        ("port", None),
        ("netloc", b""),
        ("path", "/"),
        ("raw_path", b"/"),
        ("query", b""),
        ("fragment", ""),
        ("is_absolute_url", False),
        ("is_relative_url", True),
    ],
)
def test_an_empty_url_has_empty_parts(part: str, value: object) -> None:
    assert getattr(URL(), part) == value


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("HTTPS://EXAMPLE.org", "https://example.org"),
        ("https://example.org:443/", "https://example.org/"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:", "http://example.org"),
        ("http://example.org:0080", "http://example.org"),
        ("wss://example.org:443", "wss://example.org"),
        ("https://example.org:80", "https://example.org:80"),
        ("http://h/a/./b/../c", "http://h/a/c"),
        ("http://h/..", "http://h/"),
        ("http://h/a/..", "http://h/"),
        ("http://h/a/.", "http://h/a/"),
        ("http://h/a//../b", "http://h/a/b"),
        ("http://h/.well-known", "http://h/.well-known"),
        ("http://h/a b", "http://h/a%20b"),
        ("http://h/ä?ö=ü#ß", "http://h/%C3%A4?%C3%B6=%C3%BC#%C3%9F"),
        ("http://h/%7e%20", "http://h/%7e%20"),
        ("http://h/100%", "http://h/100%25"),
        ("http://h/%zz", "http://h/%25zz"),
        ("http://h/?a b=<>", "http://h/?a%20b=%3C%3E"),
        ("http://h?", "http://h?"),
        ("http://h#", "http://h#"),
        ("http://h/a?b?c#d#e", "http://h/a?b?c#d#e"),
        ("http://u@v:p@w@h/", "http://u%40v:p%40w@h/"),
        ("http://1.2.3.4:80/", "http://1.2.3.4/"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
        ("http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"),
        ("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/"),
        ("http://example.org./", "http://example.org./"),
        ("mailto:jo@example.org", "mailto:jo@example.org"),
        ("x:/a/../b", "x:/a/../b"),
        ("//h/p", "//h/p"),
        ("../a", "../a"),
        ("1http://h", "1http://h"),
    ],
)
def test_a_url_is_normalised(given_: str, normal: str) -> None:
    assert str(URL(given_)) == normal


@pytest.mark.parametrize(
    ("url", "host", "raw"),
    [
        ("http://MÜNCHEN.de/", "münchen.de", b"xn--mnchen-3ya.de"),
        ("http://中国.icom.museum", "中国.icom.museum", b"xn--fiqs8s.icom.museum"),
        ("http://www.xn--fiqs8s.museum", "www.中国.museum", b"www.xn--fiqs8s.museum"),
        ("http://例え。テスト/", "例え.テスト", b"xn--r8jz45g.xn--zckzah"),
        ("http://１.２.３.４/", "1.2.3.4", b"1.2.3.4"),
        ("http://xn--zzzz--.de", "xn--zzzz--.de", b"xn--zzzz--.de"),
        ("http://[::ffff:192.168.0.1]", "::ffff:192.168.0.1", b"::ffff:192.168.0.1"),
        ("http://ex_ample.org", "ex_ample.org", b"ex_ample.org"),
    ],
)
def test_a_host_is_read_and_resolved_in_its_own_form(url: str, host: str, raw: bytes) -> None:
    assert (URL(url).host, URL(url).raw_host) == (host, raw)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://user:pass@h:8080/", b"h:8080"),
        ("http://h:80/", b"h"),
        ("http://h./", b"h."),
        ("http://[::1]:8080/", b"[::1]:8080"),
        ("http://[fe80::1%25eth0]:8080/", b"[fe80::1]:8080"),
        ("http://münchen.de/", b"xn--mnchen-3ya.de"),
    ],
)
def test_the_authority_is_what_the_host_header_wants(url: str, authority: bytes) -> None:
    assert URL(url).authority == authority


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h/\n", r"control character '\\n' at position 9"),
        ("http://h/\x7f", "control character"),
        ("http://h\t/", r"'\\t' at position 8"),
        ("http://", "no host: http:// needs one"),
        ("https:///path", "no host"),
        ("http:path", "no host"),
        ("//user@/path", "no host: a user or port needs one"),
        ("x://:80/", "no host"),
        ("http://h:65536", "port behind the host 'h'"),
        ("http://h:x", "port behind the host 'h'"),
        ("http://h:-1", "port"),
        ("http://h:+80", "port"),
        ("http://h:８０", "port"),
        ("http://h:000080", "port"),
        ("http://::1/", "port"),
        ("http://[::1", "no IPv6 address in brackets"),
        ("http://[::g]", "no IPv6 address"),
        ("http://[::1]x", "behind the brackets"),
        ("http://[fe80::1%25]", "no IPv6 address in brackets"),
        ("http://[fe80::1%25a b]", "no IPv6 address in brackets"),
        ("http://1.2.3.400", "no IPv4 address"),
        ("http://a b/", "no host name may hold"),
        ("http://a^b/", "no host name may hold"),
        ("http://-ü-.de/", "no international domain name"),
        ("http://" + "ü" * 64 + ".de/", "no international domain name"),
        ("http://evil.org\\@good.org/", "backslash"),
        ("http://good.org\\.evil.org/", "no host name may hold"),
        ("x:////a", "two slashes"),
        ("http://h/\ud800", "lone surrogate"),
        ("http://h/" + "a" * 65_536, "longer than 65536"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidURL, match=why):
        URL(url)


@pytest.mark.parametrize(
    "url",
    ["http://user:hush/h@h/", "http://user:hush@[::g]/", "http://user:hush@h:x/", "http://user:hush\n@h/"],
)
def test_a_refusal_does_not_show_the_password(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        URL(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", [b"http://h", 5, None])
def test_a_url_is_made_from_a_str_or_a_url(url: Any) -> None:
    with pytest.raises(TypeError, match="made from a str or a URL"):
        URL(url)


def test_a_long_url_is_parsed_as_well() -> None:
    assert len(URL("http://h/" + "a" * 5000).path) == 5001


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"scheme": "HTTP"}, "http://u:p@h:8443/a?b#c"),
        ({"scheme": "http", "port": 80}, "http://u:p@h/a?b#c"),
        ({"username": "x@y"}, "https://x%40y:p@h:8443/a?b#c"),
        ({"password": "a:b/c%20"}, "https://u:a%3Ab%2Fc%2520@h:8443/a?b#c"),
        ({"password": None}, "https://u@h:8443/a?b#c"),
        ({"username": None, "password": None}, "https://h:8443/a?b#c"),
        ({"userinfo": b"a:b"}, "https://a:b@h:8443/a?b#c"),
        ({"userinfo": None}, "https://h:8443/a?b#c"),
        ({"host": "Other.org"}, "https://u:p@other.org:8443/a?b#c"),
        ({"host": "::1"}, "https://u:p@[::1]:8443/a?b#c"),
        ({"host": "[::1]"}, "https://u:p@[::1]:8443/a?b#c"),
        ({"host": "fe80::1%25x"}, "https://u:p@[fe80::1%2525x]:8443/a?b#c"),
        ({"port": 1}, "https://u:p@h:1/a?b#c"),
        ({"port": None}, "https://u:p@h/a?b#c"),
        ({"netloc": b"i:2"}, "https://u:p@i:2/a?b#c"),
        ({"netloc": b"[::1]"}, "https://u:p@[::1]/a?b#c"),
        ({"path": "/x y/../z%20"}, "https://u:p@h:8443/z%20?b#c"),
        ({"path": ""}, "https://u:p@h:8443?b#c"),
        ({"query": b"x=1 2"}, "https://u:p@h:8443/a?x=1%202#c"),
        ({"query": b""}, "https://u:p@h:8443/a?#c"),
        ({"query": None}, "https://u:p@h:8443/a#c"),
        ({"raw_path": b"/x?y"}, "https://u:p@h:8443/x?y#c"),
        ({"raw_path": b"/x"}, "https://u:p@h:8443/x#c"),
        ({"fragment": "d e"}, "https://u:p@h:8443/a?b#d%20e"),
        ({"fragment": None}, "https://u:p@h:8443/a?b"),
        ({"params": {"x": 1}}, "https://u:p@h:8443/a?x=1#c"),
        ({"params": {}}, "https://u:p@h:8443/a#c"),
        ({"params": None}, "https://u:p@h:8443/a#c"),
        ({"params": "x=1", "path": "/y"}, "https://u:p@h:8443/y?x=1#c"),
        ({}, "https://u:p@h:8443/a?b#c"),
    ],
)
def test_a_copy_may_have_other_parts(change: Any, result: str) -> None:
    assert str(URL("https://u:p@h:8443/a?b#c").copy_with(**change)) == result


def test_a_copy_leaves_the_url_alone() -> None:
    url = URL("http://h/a")
    url.copy_with(path="/b")
    assert str(url) == "http://h/a"


def test_parts_may_be_named_when_a_url_is_made() -> None:
    assert str(URL(scheme="http", host="h", port=8080, path="/a", params={"b": "c"})) == "http://h:8080/a?b=c"


def test_user_and_password_are_taken_literally_and_given_back() -> None:
    url = URL("http://h").copy_with(username="a%20b", password="c:d@/?#")
    assert (url.username, url.password) == ("a%20b", "c:d@/?#")


def test_a_port_that_is_the_new_scheme_s_own_is_left_out() -> None:
    assert URL("http://h:443/").copy_with(scheme="https").port is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"path": "a"}, "begins with a slash"),
        ({"path": "/a?b"}, r"holds no \? and no #"),
        ({"path": "/a#b"}, r"holds no \? and no #"),
        ({"path": "/a\n"}, "The path of the URL holds the control character"),
        ({"raw_path": b"/\xff"}, "ASCII"),
        ({"scheme": "1x"}, "The scheme '1x'"),
        ({"host": ""}, "no host"),
        ({"host": "a/b"}, "no host name may hold"),
        ({"port": 65_536}, "port"),
        ({"port": -1}, "port"),
        ({"netloc": b"u:p@h"}, "username and password beside it"),
        ({"fragment": "a\0"}, "control character"),
    ],
)
def test_a_copy_with_impossible_parts_is_refused(change: Any, why: str) -> None:
    with pytest.raises(InvalidURL, match=why):
        URL("http://h/").copy_with(**change)


def test_a_path_that_would_read_as_a_scheme_is_refused() -> None:
    with pytest.raises(InvalidURL, match="cannot begin as a scheme does"):
        URL("a").copy_with(path="mailto:x")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"path": b"/a"}, "The path of a URL is str, not bytes"),
        ({"query": "a=b"}, "The query of a URL is bytes, not str"),
        ({"port": "80"}, "The port of a URL is int, not str"),
        ({"hostname": "h"}, "no part named 'hostname'"),
    ],
)
def test_parts_of_the_wrong_type_or_name_are_refused(change: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        URL("http://h/", **change)


@pytest.mark.parametrize("part", ["username", "password", "path", "fragment"])
def test_a_lone_surrogate_in_a_part_is_refused_without_showing_it(part: str) -> None:
    parts: Any = {part: "/hunter2\udcff"}
    with pytest.raises(InvalidURL, match="lone surrogate") as caught:
        URL("http://h/", **parts)
    assert "hunter2" not in str(caught.value)


def test_query_parameters_can_be_set_added_removed_and_merged() -> None:
    url = URL("http://h/?a=1&b=2")
    assert [
        str(url.copy_set_param("a", 3)),
        str(url.copy_add_param("a", True)),
        str(url.copy_remove_param("a").copy_remove_param("b")),
        str(url.copy_merge_params({"b": "x y", "c": None})),
    ] == ["http://h/?a=3&b=2", "http://h/?a=1&b=2&a=true", "http://h/", "http://h/?a=1&b=x+y&c="]


def test_a_url_equals_another_way_to_write_it() -> None:
    assert URL("HTTP://H:80/a") == URL("http://h/a") == "http://H/a"


@pytest.mark.parametrize("other", [URL("http://i/"), "http://i/", "http://[", 5, None])
def test_a_url_differs_from_other_things(other: object) -> None:
    assert URL("http://h/") != other


def test_equal_urls_have_equal_hashes() -> None:
    assert len({URL("HTTP://H:80/a"), URL("http://h/a")}) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:hush@h/hush?hush", "http://u:[secure]@h/hush?hush"),
        ("http://:hush@h/", "http://:[secure]@h/"),
        ("http://u@h/", "http://u@h/"),
        ("http://h/", "http://h/"),
    ],
)
def test_the_repr_hides_the_password(url: str, shown: str) -> None:
    assert (repr(URL(url)), URL(url).redacted) == (f"URL({shown!r})", shown)


def test_a_url_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        URL("http://h").path = "/a"  # type: ignore[misc]


def test_a_url_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(URL(FULL))) == URL(FULL)


anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
hosts = st.sampled_from(["h", "example.org", "[::1]", "münchen.de", "1.2.3.4", "h."])
urls = st.builds(
    "{}://{}{}/{}?{}#{}".format,
    st.sampled_from(["http", "https", "ftp"]),
    hosts,
    st.sampled_from(["", ":1", ":80", ":65535"]),
    anything,
    anything,
    anything,
)


@settings(deadline=None)
@given(urls)
def test_parsing_a_normalised_url_changes_nothing(text: str) -> None:
    url = URL(text)
    again = URL(str(url))
    assert (str(again), again) == (str(url), url)
    assert str(url).isascii()


@settings(deadline=None)
@given(anything)
def test_any_text_is_refused_or_parsed_for_good(text: str) -> None:
    with suppress(InvalidURL):
        url = URL(text)
        assert str(URL(str(url))) == str(url)


@settings(deadline=None)
@given(urls, anything, anything)
def test_user_and_password_come_back_as_they_were_given(url: str, username: str, password: str) -> None:
    changed = URL(url).copy_with(username=username, password=password)
    assert (changed.username, changed.password) == (username, password)
    assert (URL(str(changed)).username, URL(str(changed)).password) == (username, password)
