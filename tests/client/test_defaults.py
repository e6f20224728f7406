"""What a client adds to each request it builds."""

from __future__ import annotations

from typing import Any

import pytest

from greenh2 import Client, Cookies, InvalidURL, Request, Response, Timeout, __version__


def build(
    url: str = "http://a.example/", *, method: str = "GET", call: Any = None, **settings: Any
) -> Request:
    client = Client(transport=lambda request: Response(200), **settings)
    return client.build_request(method, url, **(call or {}))


def test_the_default_headers_say_what_is_understood_and_by_whom() -> None:
    assert build().headers.multi_items() == [
        ("host", "a.example"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),  # the extras, which tests have
        ("connection", "keep-alive"),
        ("user-agent", f"python-greenh2/{__version__}"),
    ]


def test_headers_of_the_client_replace_the_default_ones() -> None:
    assert build(headers={"user-agent": "mine"}).headers.get_list("user-agent") == ["mine"]


def test_headers_of_the_call_replace_those_of_the_client_and_leave_the_others() -> None:
    request = build(headers={"X-A": "1", "X-B": "1"}, call={"headers": [("X-A", "2"), ("x-a", "3")]})
    assert request.headers.get_list("x-a") == ["2", "3"]
    assert request.headers["x-b"] == "1"


def test_headers_of_one_request_are_not_those_of_the_next() -> None:
    client = Client(transport=lambda request: Response(200))
    client.build_request("GET", "http://a.example/").headers["X-A"] = "1"
    assert "x-a" not in client.build_request("GET", "http://a.example/").headers


@pytest.mark.parametrize(
    ("setting", "url", "argument", "expected"),
    [
        (None, "http://a.example/?x=1", None, "http://a.example/?x=1"),
        (None, "http://a.example/?x=1", {"y": 2}, "http://a.example/?y=2"),
        ({"k": "v"}, "http://a.example/", None, "http://a.example/?k=v"),
        ({"k": "v"}, "http://a.example/?x=1", None, "http://a.example/?x=1&k=v"),
        ({"k": "v"}, "http://a.example/?x=1", {"k": "w", "z": 0}, "http://a.example/?x=1&k=w&z=0"),
        ({"k": "v"}, "http://a.example/?x=%FF", {"z": 0}, "http://a.example/?x=%FF&k=v&z=0"),
    ],
)
def test_params_of_client_and_call_are_merged(setting: Any, url: str, argument: Any, expected: str) -> None:
    assert str(build(url, params=setting, call={"params": argument}).url) == expected


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("", "http://b.example/x", "http://b.example/x"),
        ("http://a.example", "x", "http://a.example/x"),
        ("http://a.example/api", "x", "http://a.example/api/x"),
        ("http://a.example/api/", "/x", "http://a.example/api/x"),
        ("http://a.example/api", "", "http://a.example/api/"),
        ("http://a.example/api", "?q=1", "http://a.example/api/?q=1"),
        ("http://a.example/api", "x?q=1#part", "http://a.example/api/x?q=1#part"),
        ("http://a.example/api", "x#50%2525", "http://a.example/api/x#50%2525"),
        ("http://a.example/a%2Fb", "c%2Fd", "http://a.example/a%2Fb/c%2Fd"),
        ("http://a.example/api", "https://b.example/x", "https://b.example/x"),
        ("http://u:p@a.example:81", "/x", "http://u:p@a.example:81/x"),
    ],
)
def test_a_path_is_put_behind_the_base_url(base: str, url: str, expected: str) -> None:
    assert str(build(url, base_url=base).url) == expected


def test_two_slashes_are_no_path() -> None:
    with pytest.raises(InvalidURL, match=r"'//b.example/x' begins with two slashes"):
        build("//b.example/x", base_url="http://a.example/")


@pytest.mark.parametrize("base", ["a.example/api", "/api", "mailto:someone"])
def test_a_base_url_is_absolute(base: str) -> None:
    with pytest.raises(InvalidURL, match="base_url is an absolute URL"):
        build(base_url=base)


def test_a_base_url_without_slashes_shows_no_password() -> None:
    with pytest.raises(InvalidURL, match=r"not '\[secure\]@a.example/v1'"):
        Client(base_url="user:hunter2@a.example/v1")


@pytest.mark.parametrize("base", ["http://u:secret@a.example/?q=1", "http://a.example/#part"])
def test_a_base_url_has_no_query_and_no_fragment(base: str) -> None:
    with pytest.raises(InvalidURL, match="neither query nor fragment") as caught:
        build(base_url=base)
    assert "secret" not in str(caught.value)


def test_the_timeout_is_that_of_the_client() -> None:
    assert build(timeout=3).extensions["timeout"] == Timeout(3.0)


def test_the_timeout_is_that_of_the_call() -> None:
    assert build(timeout=3, call={"timeout": None}).extensions["timeout"] == Timeout(None)


def test_the_timeout_is_that_of_the_extensions() -> None:
    given = {"timeout": Timeout(2.0)}
    assert build(timeout=3, call={"timeout": 1, "extensions": given}).extensions["timeout"] == Timeout(2.0)


def test_the_extensions_given_are_not_changed() -> None:
    given: dict[str, object] = {"trace": print}
    assert build(call={"extensions": given}).extensions["trace"] is print
    assert given == {"trace": print}


def test_cookies_of_the_call_wait_until_the_request_is_sent() -> None:
    request = build(call={"cookies": {"a": "1"}})
    assert dict(request.extensions["cookies"]) == {"a": "1"}
    assert isinstance(request.extensions["cookies"], Cookies)
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("body", "content", "kind"),
    [
        ({"content": "\u00e9"}, b"\xc3\xa9", None),
        ({"data": {"a": "1"}}, b"a=1", "application/x-www-form-urlencoded"),
        ({"json": {"a": 1}}, b'{"a":1}', "application/json"),
    ],
)
def test_a_body_is_described(body: Any, content: bytes, kind: str | None) -> None:
    request = build(method="POST", call=body)
    assert request.content == content
    assert request.headers.get("content-type") == kind
