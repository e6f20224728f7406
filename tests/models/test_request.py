"""Request: what is added to it, and what it refuses to send."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from greenh2._errors import InvalidURL, LocalProtocolError, RequestNotRead, StreamClosed
from greenh2._models.body import BytesBody
from greenh2._models.headers import Headers
from greenh2._models.request import Request
from greenh2._models.url import URL

HERE = "https://example.org/"


def test_a_get_sends_host_alone() -> None:
    request = Request("GET", "https://user:pass@example.org:8443/a?b")
    assert request.headers.raw == [(b"Host", b"example.org:8443")]


def test_host_comes_first() -> None:
    request = Request("GET", HERE, headers={"Accept": "*/*"})
    assert request.headers.raw == [(b"Host", b"example.org"), (b"Accept", b"*/*")]


def test_a_host_that_is_given_stays_where_it_is() -> None:
    request = Request("GET", HERE, headers=[("a", "b"), ("host", "other")])
    assert request.headers.raw == [(b"a", b"b"), (b"host", b"other")]


def test_a_relative_url_has_no_host() -> None:
    assert "host" not in Request("GET", "/path").headers


@pytest.mark.parametrize(("given", "sent"), [("get", "GET"), ("PoSt", "POST"), ("propfind", "PROPFIND")])
def test_methods_are_sent_in_upper_case(given: str, sent: str) -> None:
    assert Request(given, HERE).method == sent


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\nX: y", "GÊT", "a b"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be the method"):
        Request(method, HERE)


def test_a_method_is_a_str() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        Request(b"GET", HERE)  # type: ignore[arg-type]


def test_a_bad_url_is_refused() -> None:
    with pytest.raises(InvalidURL):
        Request("GET", "http://h:x")


def test_a_url_is_taken_as_it_is() -> None:
    url = URL(HERE)
    assert Request("GET", url).url is url


def test_params_replace_the_query() -> None:
    assert Request("GET", "http://h/?a=1", params={"b": 2}).url == "http://h/?b=2"


def test_empty_params_remove_the_query() -> None:
    assert Request("GET", "http://h/?a=1", params={}).url == "http://h/"


def test_content_has_a_length() -> None:
    assert Request("POST", HERE, content=b"abc").headers["content-length"] == "3"


def test_a_stream_is_chunked() -> None:
    headers = Request("POST", HERE, content=iter([b"a"])).headers
    assert (headers.get("transfer-encoding"), "content-length" in headers) == ("chunked", False)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_method_that_wants_a_body_says_when_it_is_empty(method: str) -> None:
    assert Request(method, HERE).headers["content-length"] == "0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_method_that_wants_no_body_does_not_mention_one(method: str) -> None:
    assert "content-length" not in Request(method, HERE).headers


def test_json_has_type_and_length() -> None:
    headers = Request("POST", HERE, json={}).headers
    assert (headers["content-type"], headers["content-length"]) == ("application/json", "2")


def test_a_content_type_that_is_given_is_kept() -> None:
    headers = Request("POST", HERE, json={}, headers={"content-type": "application/x"}).headers
    assert headers.get_list("content-type") == ["application/x"]


def test_a_length_that_is_given_makes_a_stream_whole() -> None:
    headers = Request("POST", HERE, content=iter([b"abc"]), headers={"Content-Length": "3"}).headers
    assert (headers.get_list("content-length"), "transfer-encoding" in headers) == (["3"], False)


def test_a_length_that_is_given_for_json_leaves_the_type_to_us() -> None:
    headers = Request("POST", HERE, json={}, headers={"Content-Length": "2"}).headers
    assert (headers.get_list("content-length"), headers["content-type"]) == (["2"], "application/json")


def test_a_transfer_encoding_that_is_given_replaces_the_length() -> None:
    headers = Request("POST", HERE, content=b"abc", headers={"Transfer-Encoding": "chunked"}).headers
    assert (headers.get_list("transfer-encoding"), "content-length" in headers) == (["chunked"], False)


def test_both_length_and_transfer_encoding_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="smuggled"):
        Request("POST", HERE, headers={"Content-Length": "0", "Transfer-Encoding": "chunked"})


@pytest.mark.parametrize("length", ["4", "0"])
def test_a_length_other_than_the_body_s_is_refused(length: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"Content-Length is {length}, but the body has 3 bytes"):
        Request("POST", HERE, content=b"abc", headers={"Content-Length": length})


@pytest.mark.parametrize("length", ["+3", "-1", "0x3", "3, 3", "", "³"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(LocalProtocolError, match="not one number of bytes"):
        Request("POST", HERE, content=iter([b"abc"]), headers={"Content-Length": length})


@pytest.mark.parametrize(
    "headers", [{"a": "b\r\nc: d"}, {"a b": "c"}, {b"a\n": b"b"}, {"": "a"}, [("ok", "ok"), ("a", "\0")]]
)
def test_a_header_that_must_not_be_sent_is_refused(headers: Any) -> None:
    with pytest.raises(LocalProtocolError):
        Request("GET", HERE, headers=headers)


def test_white_space_around_a_header_is_not_sent() -> None:
    assert Request("GET", HERE, headers={"a": " b "}).headers["a"] == "b"


def test_the_headers_that_were_given_are_left_alone() -> None:
    headers = Headers({"a": " b "})
    Request("POST", HERE, headers=headers, json=1)
    assert headers.raw == [(b"a", b" b ")]


def test_cookies_are_sent() -> None:
    assert Request("GET", HERE, cookies={"a": "1", "b": "2"}).headers["cookie"] == "a=1; b=2"


def test_a_cookie_header_that_is_given_is_kept() -> None:
    assert Request("GET", HERE, headers={"Cookie": "x=y"}, cookies={"a": "1"}).headers["cookie"] == "x=y"


def test_a_cookie_that_must_not_be_sent_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        Request("GET", HERE, cookies={"a": "1\r\nX: y"})


def test_extensions_are_copied() -> None:
    given = {"trace": None}
    request = Request("GET", HERE, extensions=given)
    request.extensions["timeout"] = 1
    assert (given, request.extensions) == ({"trace": None}, {"trace": None, "timeout": 1})


def test_without_extensions_there_is_an_empty_dict() -> None:
    assert Request("GET", HERE).extensions == {}


def test_the_content_of_bytes_is_at_hand() -> None:
    request = Request("POST", HERE, content=b"abc")
    assert (request.content, request.read()) == (b"abc", b"abc")


def test_the_content_of_a_stream_is_not_at_hand() -> None:
    with pytest.raises(RequestNotRead):
        _ = Request("POST", HERE, content=iter([b"a"])).content


def test_reading_a_stream_keeps_it() -> None:
    request = Request("POST", HERE, content=iter([b"a", b"b"]))
    assert (request.read(), request.content, request.body.replayable) == (b"ab", b"ab", True)


def test_the_stream_is_the_body() -> None:
    request = Request("POST", HERE, content=[b"a"])
    assert request.stream is request.body
    assert list(request.stream) == [b"a"]


def test_a_body_can_be_handed_to_another_request() -> None:
    first = Request("POST", HERE, content=iter([b"a"]))
    second = Request("POST", HERE, headers=first.headers, content=first.body)
    assert (second.body is first.body, second.headers) == (True, first.headers)


def test_the_repr_hides_the_password() -> None:
    assert repr(Request("get", "https://u:hush@h/")) == "<Request('GET', 'https://u:[secure]@h/')>"


def test_pickling_keeps_all_but_the_extensions() -> None:
    request = Request("POST", HERE, headers={"a": "b"}, content=b"abc", extensions={"trace": lambda: None})
    copy = pickle.loads(pickle.dumps(request))
    assert (copy.method, copy.url, copy.headers.raw, copy.content, copy.extensions) == (
        "POST",
        request.url,
        request.headers.raw,
        b"abc",
        {},
    )
    assert isinstance(copy.body, BytesBody)


def test_pickling_loses_a_body_that_was_not_read() -> None:
    copy = pickle.loads(pickle.dumps(Request("POST", HERE, content=iter([b"a"]))))
    with pytest.raises(StreamClosed, match="left behind when the request was pickled"):
        copy.read()
    copy.body.close()
    assert (copy.body.length, copy.body.replayable) == (None, False)


def test_two_host_headers_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="several Host"):
        Request("GET", "https://example.org", headers=[("host", "a"), ("host", "b")])


def test_a_content_length_beyond_all_measure_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="not one number"):
        Request("POST", "https://example.org", headers={"content-length": "9" * 5000}, content=iter([b"x"]))
