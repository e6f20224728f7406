"""Response: what it is made from, what it tells, and what pickling keeps."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Iterator
from datetime import timedelta
from time import perf_counter
from typing import Any, ClassVar

import pytest

from greenh2._errors import (
    HTTPStatusError,
    ResponseNotRead,
    StreamClosed,
)
from greenh2._models.request import Request
from greenh2._models.response import Response


class Stream:
    """A body that arrives in the given pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        """Nothing to let go of."""


class StreamWithTrailers(Stream):
    trailers: ClassVar = [(b"X-Checksum", b"1"), (b"x-checksum", b"2")]


def request() -> Request:
    return Request("GET", "https://user:hush@example.org/a")


def test_a_response_needs_no_more_than_a_status() -> None:
    response = Response(204)
    assert (response.content, response.text, response.is_closed, len(response.headers)) == (b"", "", True, 0)


@pytest.mark.parametrize(
    ("given", "content_type", "content"),
    [
        ({"text": "ü"}, "text/plain; charset=utf-8", b"\xc3\xbc"),
        ({"html": "<p>"}, "text/html; charset=utf-8", b"<p>"),
        ({"json": {"a": None}}, "application/json", b'{"a":null}'),
        ({"content": b"abc"}, None, b"abc"),
    ],
)
def test_a_response_describes_what_it_is_made_from(
    given: Any, content_type: str | None, content: bytes
) -> None:
    response = Response(200, **given)
    assert (response.headers.get("content-type"), response.content) == (content_type, content)
    assert response.headers["content-length"] == str(len(content))


def test_headers_that_are_given_are_kept() -> None:
    response = Response(200, headers={"Content-Type": "a/b"}, text="x")
    assert response.headers.get_list("content-type") == ["a/b"]


def test_headers_given_with_content_are_copied() -> None:
    headers = Response(200).headers
    assert Response(200, headers=headers, text="x").headers is not headers


def test_a_response_made_from_an_iterable_is_a_stream() -> None:
    response = Response(200, content=iter([b"a", b"b"]))
    assert (response.headers["transfer-encoding"], response.is_closed, response.read()) == (
        "chunked",
        False,
        b"ab",
    )


def test_a_length_that_is_given_makes_an_iterable_whole() -> None:
    response = Response(200, headers={"Content-Length": "2"}, content=iter([b"a", b"b"]))
    assert "transfer-encoding" not in response.headers


def test_content_made_by_hand_is_decoded_as_well() -> None:
    response = Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"abc"))
    assert response.content == b"abc"


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/plain; charset=latin-1", "latin-1"),
        ("text/plain; charset=no-such", "utf-8"),
        ("text/plain; charset=hex", "utf-8"),
        ("text/plain", "utf-8"),
    ],
)
def test_the_encoding_is_the_charset_if_python_knows_it(content_type: str, encoding: str) -> None:
    assert Response(200, headers={"Content-Type": content_type}).encoding == encoding


def test_without_a_charset_the_default_encoding_holds() -> None:
    response = Response(200, content=b"\xfc", default_encoding="latin-1")
    assert (response.charset_encoding, response.encoding, response.text) == (None, "latin-1", "ü")


def test_the_default_encoding_may_be_a_function_of_the_content() -> None:
    response = Response(200, content=b"\xfc", default_encoding=lambda content: f"iso-8859-{len(content)}")
    assert response.encoding == "iso-8859-1"


def test_a_function_for_the_encoding_waits_for_the_content() -> None:
    response = Response(200, stream=Stream(b"\xfc"), default_encoding=lambda content: "latin-1")
    assert response.encoding == "utf-8"
    response.read()
    assert response.encoding == "latin-1"


def test_a_function_for_the_encoding_may_find_none() -> None:
    assert Response(200, content=b"a", default_encoding=lambda content: "").encoding == "utf-8"


def test_the_encoding_can_be_set() -> None:
    response = Response(200, headers={"Content-Type": "text/plain; charset=utf-8"}, content=b"\xfc")
    response.encoding = "latin-1"
    assert response.text == "ü"


def test_the_encoding_cannot_be_set_once_text_was_decoded() -> None:
    response = Response(200, text="a")
    assert response.text == "a"
    with pytest.raises(ValueError, match="cannot be set any more"):
        response.encoding = "latin-1"


def test_what_is_no_text_is_replaced() -> None:
    assert Response(200, content=b"a\xff").text == "a\ufffd"


def test_text_is_decoded_once() -> None:
    response = Response(200, text="abc")
    assert response.text is response.text


def test_json_is_parsed() -> None:
    assert Response(200, json={"a": [1.5]}).json() == {"a": [1.5]}


def test_json_is_parsed_with_the_arguments_of_the_standard_library() -> None:
    assert Response(200, content=b"1.0").json(parse_float=str) == "1.0"


def test_what_is_no_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        Response(200, text="<html>").json()


@pytest.mark.parametrize(
    ("status", "true"),
    [
        (101, {"is_informational"}),
        (204, {"is_success"}),
        (304, {"is_redirect"}),
        (404, {"is_client_error", "is_error"}),
        (503, {"is_server_error", "is_error"}),
        (999, set()),
    ],
)
def test_the_class_of_a_status(status: int, true: set[str]) -> None:
    names = (
        "is_informational",
        "is_success",
        "is_redirect",
        "is_client_error",
        "is_server_error",
        "is_error",
    )
    assert {name for name in names if getattr(Response(status), name)} == true


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_with_a_location_leads_somewhere(status: int) -> None:
    assert Response(status, headers={"Location": "/"}).has_redirect_location


@pytest.mark.parametrize(
    ("status", "headers"), [(301, {}), (304, {"Location": "/"}), (200, {"Location": "/"})]
)
def test_other_responses_lead_nowhere(status: int, headers: dict[str, str]) -> None:
    assert not Response(status, headers=headers).has_redirect_location


def test_the_exchange_is_told_by_the_extensions() -> None:
    told = {"http_version": b"HTTP/2", "stream_id": 3, "timings": {"dns": 0.1}, "connection_info": "that one"}
    response = Response(200, extensions=told)
    assert (response.http_version, response.stream_id, response.timings, response.connection_info) == (
        "HTTP/2",
        3,
        {"dns": 0.1},
        "that one",
    )


def test_without_extensions_the_exchange_is_a_plain_one() -> None:
    response = Response(200)
    assert (response.http_version, response.stream_id, response.timings, response.connection_info) == (
        "HTTP/1.1",
        None,
        {},
        None,
    )


def test_the_reason_is_what_the_server_said() -> None:
    assert Response(200, extensions={"reason_phrase": b"Fine"}).reason_phrase == "Fine"


def test_a_server_may_have_no_word_for_a_status() -> None:
    extensions = {"reason_phrase": b"", "http_version": b"HTTP/1.1"}
    assert Response(404, extensions=extensions).reason_phrase == ""


@pytest.mark.parametrize("extensions", [{}, {"reason_phrase": b"", "http_version": b"HTTP/2"}])
def test_without_a_reason_it_is_the_registered_one(extensions: dict[str, object]) -> None:
    assert Response(404, extensions=extensions).reason_phrase == "Not Found"


def test_a_response_knows_request_and_url() -> None:
    asked = request()
    response = Response(200, request=asked)
    assert (response.request is asked, response.url is asked.url) == (True, True)


def test_a_response_without_request_says_so() -> None:
    with pytest.raises(RuntimeError, match="belongs to no request"):
        _ = Response(200).url


def test_the_request_can_be_set() -> None:
    response = Response(200)
    response.request = asked = request()
    assert response.request is asked


def test_the_history_is_copied() -> None:
    earlier = [Response(301)]
    response = Response(200, history=earlier)
    earlier.clear()
    assert [old.status_code for old in response.history] == [301]


def test_links_are_told() -> None:
    response = Response(200, headers={"Link": "</2>; rel=next"})
    assert response.links["next"]["url"] == "/2"


def test_without_a_link_header_there_are_no_links() -> None:
    assert Response(200).links == {}


def test_cookies_are_told() -> None:
    response = Response(200, headers={"Set-Cookie": "a=1"}, request=request())
    assert (dict(response.cookies), response.cookies is response.cookies) == ({"a": "1"}, True)


@pytest.mark.parametrize(("status", "shown"), [(200, "<Response [200 OK]>"), (299, "<Response [299]>")])
def test_the_repr_shows_the_status(status: int, shown: str) -> None:
    assert repr(Response(status)) == shown


def test_elapsed_is_not_known_before_the_end() -> None:
    response = Response(200, stream=Stream(b"a"))
    response._started = perf_counter()
    with pytest.raises(RuntimeError, match="read or closed"):
        _ = response.elapsed


def test_elapsed_is_known_when_the_response_is_closed_and_stays() -> None:
    response = Response(200, stream=Stream(b"a"))
    response._started = perf_counter() - 10
    response.read()
    first = response.elapsed
    response.close()
    assert (first is response.elapsed, timedelta(seconds=10) <= first < timedelta(seconds=20)) == (True, True)


def test_elapsed_is_known_at_once_for_a_response_that_is_closed_already() -> None:
    response = Response(200, text="a")
    response._started = perf_counter() - 10
    assert (response.elapsed >= timedelta(seconds=10), response._started is not None) == (True, True)


def test_elapsed_can_be_set_and_is_kept() -> None:
    response = Response(200, text="a")
    response.elapsed = timedelta(seconds=1)
    response._started = perf_counter() - 10
    assert response.elapsed == timedelta(seconds=1)


def test_a_success_is_returned() -> None:
    response = Response(201, request=request())
    assert response.raise_for_status() is response


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (101, "The server answered 101 Switching Protocols (an interim response) to GET "),
        (304, "The server answered 304 Not Modified (a redirect) to GET "),
        (404, "The server answered 404 Not Found (a client error) to GET "),
        (500, "The server answered 500 Internal Server Error (a server error) to GET "),
        (999, "The server answered 999 (an unknown status) to GET "),
    ],
)
def test_anything_else_is_an_error_that_tells_what_happened_to_whom(status: int, message: str) -> None:
    response = Response(status, request=request())
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()
    assert str(caught.value) == message + "https://user:[secure]@example.org/a"
    assert (caught.value.response is response, caught.value.request is response.request) == (True, True)


@pytest.mark.parametrize(
    ("location", "shown"),
    [("/b", "/b"), ("https://u:hush@h/", "https://u:[secure]@h/"), ("http://h:x/", "an invalid URL")],
)
def test_the_error_tells_where_a_redirect_leads(location: str, shown: str) -> None:
    response = Response(302, headers={"Location": location}, request=request())
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()
    assert str(caught.value).endswith(f", which redirects to {shown}")


def test_without_a_request_no_status_is_judged() -> None:
    with pytest.raises(RuntimeError, match="belongs to no request"):
        Response(200).raise_for_status()


def test_pickling_keeps_what_was_read() -> None:
    response = Response(
        200,
        headers={"A": "b"},
        stream=StreamWithTrailers("ü".encode("latin-1")),
        request=request(),
        history=[Response(301)],
        extensions={"http_version": b"HTTP/2", "connection_info": object()},
        default_encoding=lambda content: "latin-1",
    )
    response._started = perf_counter()
    response.read()
    copy = pickle.loads(pickle.dumps(response))
    assert (copy.status_code, copy.headers, copy.text, copy.http_version, copy.connection_info) == (
        200,
        {"A": "b"},
        "ü",
        "HTTP/2",
        None,
    )
    assert (
        copy.url,
        copy.elapsed,
        copy.is_closed,
        copy.trailers,
        [old.status_code for old in copy.history],
    ) == (
        response.url,
        response.elapsed,
        True,
        response.trailers,
        [301],
    )


def test_pickling_loses_a_body_that_was_not_read() -> None:
    copy = pickle.loads(pickle.dumps(Response(200, stream=Stream(b"a"))))
    with pytest.raises(ResponseNotRead):
        _ = copy.content
    with pytest.raises(StreamClosed):
        copy.read()


def test_extensions_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(TypeError, match=r"extensions are a mapping by names, .* not list"):
        Response(200, extensions=[1])  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ({"text": b"x"}, "text of a response is a str, not bytes: bytes are content"),
        ({"html": 5}, "html of a response is a str, not int"),
        ({"request": "GET"}, "request of a response is a Request, not str"),
    ],
)
def test_what_a_response_cannot_be_made_of_is_refused_by_name(argument: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        Response(200, **argument)


def test_an_encoding_that_is_no_name_is_refused_when_it_is_set() -> None:
    response = Response(200, content=b"x")
    with pytest.raises(TypeError, match="encoding of a response is the name of one, not 5"):
        response.encoding = 5  # type: ignore[assignment]  # what is tested
    assert response.text == "x"


def test_a_status_that_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="status_code is an int, not '200'"):
        Response("200")  # type: ignore[arg-type]
