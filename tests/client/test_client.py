"""A Client sends requests with its settings, over its transport, and gives everything back."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import gevent
import pytest

import greenh2
from greenh2 import (
    USE_CLIENT_DEFAULT,
    Auth,
    BaseTransport,
    BasicAuth,
    Client,
    CloseError,
    ConnectError,
    ConnectTimeout,
    Cookies,
    DecodingError,
    HTTPTransport,
    InvalidURL,
    LocalProtocolError,
    MockTransport,
    ReadError,
    Request,
    Response,
    ServerDisconnected,
    StreamClosed,
    Timeout,
    TooManyRedirects,
    UnsupportedProtocol,
)
from greenh2._middleware.auth import AuthFlow
from greenh2._models.timeouts import Deadline
from tests.client.answers import Answers, Pieces, redirect

URL = "http://a.example/"
INTERRUPTIONS = [gevent.Timeout(), gevent.GreenletExit(), KeyboardInterrupt()]


def echo(request: Request) -> Response:
    return Response(200, content=request.read())


# -- the way of a request -------------------------------------------------------------------------------


def test_a_function_serves_as_transport() -> None:
    assert Client(transport=echo).post(URL, content=b"x").content == b"x"


def test_a_transport_object_serves_as_transport() -> None:
    assert Client(transport=MockTransport(echo)).post(URL, content=b"x").content == b"x"


def test_anything_else_does_not() -> None:
    with pytest.raises(TypeError, match="a BaseTransport or a function from Request to Response, not str"):
        Client(transport="http://proxy")  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("setting", ["trust_env", "http1", "follow_redirects"])
@pytest.mark.parametrize("value", ["no", "0", 0, None])
def test_what_is_on_or_off_is_a_bool(setting: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{setting} is True or False, not {value!r}"):
        Client(**{setting: value})  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"mounts": {1: None}}, TypeError, "keys of mounts are patterns of URLs, .* not 1"),
        ({"default_encoding": "a\x00"}, ValueError, "is no encoding that Python knows"),
        ({"default_encoding": "\udcff"}, ValueError, "is no encoding that Python knows"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(
    settings: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        Client(**settings)


def test_a_transport_that_returns_no_response_is_told_so() -> None:
    with pytest.raises(TypeError, match="returned NoneType, not a Response"):
        Client(transport=lambda request: None).get(URL)  # type: ignore[arg-type, return-value]  # what is tested


def test_the_response_is_read_and_closed() -> None:
    body = Pieces(b"a", b"b")
    response = Client(transport=Answers(Response(200, stream=body))).get(URL)
    assert response.content == b"ab"
    assert body.closed


def test_the_response_knows_its_request() -> None:
    transport = Answers(Response(200))
    assert Client(transport=transport).get(URL).request is transport.last


def test_the_response_knows_how_long_it_took() -> None:
    response = Client(transport=Answers(Response(200, stream=Pieces(b"x")))).get(URL)
    assert timedelta() < response.elapsed < timedelta(seconds=5)


def test_the_default_encoding_is_that_of_the_client() -> None:
    client = Client(transport=Answers(Response(200, stream=Pieces(b"\xe9"))), default_encoding="latin-1")
    assert client.get(URL).text == "\u00e9"


def test_a_request_may_be_sent_as_it_was_built() -> None:
    transport = Answers(Response(200))
    Client(transport=transport, headers={"X-Client": "1"}).send(Request("GET", URL))
    assert "x-client" not in transport.last.headers


def test_the_request_that_is_sent_is_not_changed() -> None:
    request = Request("GET", URL)
    Client(transport=echo, auth=("u", "p"), cookies={"a": "1"}).send(request)
    assert request.extensions == {}
    assert request.headers.multi_items() == [("host", "a.example")]


def test_a_request_may_be_sent_twice() -> None:
    client = Client(transport=echo)
    request = client.build_request("POST", URL, content=b"x")
    assert [client.send(request).content, client.send(request).content] == [b"x", b"x"]


def test_send_takes_nothing_but_a_request() -> None:
    with pytest.raises(TypeError, match="send\\(\\) takes a Request, not str"):
        Client(transport=echo).send(URL)  # type: ignore[arg-type]  # what is tested


# -- timeouts -------------------------------------------------------------------------------------------


def timeout_of(client: Client, answers: Answers, **arguments: Any) -> object:
    client.get(URL, **arguments)
    return answers.last.extensions["timeout"]


def test_the_timeout_is_five_seconds_for_each_phase() -> None:
    answers = Answers(Response(200))
    assert timeout_of(Client(transport=answers), answers) == Timeout(5.0)


def test_the_timeout_of_the_client_holds() -> None:
    answers = Answers(Response(200))
    assert timeout_of(Client(transport=answers, timeout=7), answers) == Timeout(7.0)


@pytest.mark.parametrize("timeout", [3, None, (1, 2, 3, 4), Timeout(1.0, total=9.0)])
def test_the_timeout_of_the_call_wins(timeout: Any) -> None:
    answers = Answers(Response(200))
    assert timeout_of(Client(transport=answers), answers, timeout=timeout) == Timeout(timeout)


def test_the_timeout_of_the_client_is_asked_for_by_name() -> None:
    answers = Answers(Response(200))
    assert timeout_of(Client(transport=answers, timeout=7), answers, timeout=USE_CLIENT_DEFAULT) == Timeout(
        7.0
    )


def test_a_timeout_among_the_extensions_wins() -> None:
    answers = Answers(Response(200))
    given = {"connect": 1.0, "read": 2.0, "write": 3.0, "pool": 4.0}
    assert timeout_of(Client(transport=answers), answers, extensions={"timeout": given}) == Timeout(
        (1, 2, 3, 4)
    )


def test_a_number_among_the_extensions_is_a_timeout() -> None:
    answers = Answers(Response(200))
    Client(transport=answers).send(Request("GET", URL, extensions={"timeout": 2}))
    assert answers.last.extensions["timeout"] == Timeout(2.0)


def test_one_deadline_covers_all_redirects() -> None:
    answers = Answers(redirect("/2"), Response(200))
    Client(transport=answers, timeout=Timeout(5, total=9), follow_redirects=True).get(URL)
    first, second = [request.extensions["deadline"] for request in answers.requests]
    assert isinstance(first, Deadline)
    assert first is second


def test_a_request_sent_again_has_a_deadline_of_its_own() -> None:
    answers = Answers(Response(200), Response(200))
    client = Client(transport=answers)
    client.send(client.send(Request("GET", URL)).request)
    first, second = [request.extensions["deadline"] for request in answers.requests]
    assert first is not second


# -- authentication -------------------------------------------------------------------------------------


def authorization(answers: Answers) -> str | None:
    return answers.last.headers.get("authorization")


BASIC_U = "Basic dTpw"
BASIC_X = "Basic eDp5"


@pytest.mark.parametrize(
    ("settings", "url", "arguments", "expected"),
    [
        ({}, "http://a.example/", {}, None),
        ({"auth": ("u", "p")}, "http://a.example/", {}, BASIC_U),
        ({"auth": ("u", "p")}, "http://a.example/", {"auth": USE_CLIENT_DEFAULT}, BASIC_U),
        ({"auth": ("u", "p")}, "http://a.example/", {"auth": ("x", "y")}, BASIC_X),
        ({"auth": ("u", "p")}, "http://a.example/", {"auth": None}, None),
        ({"auth": ("u", "p")}, "http://x:y@a.example/", {}, BASIC_U),
        ({"auth": ("u", "p")}, "http://x:y@a.example/", {"auth": None}, BASIC_X),
        ({}, "http://x:y@a.example/", {}, BASIC_X),
        ({"base_url": "http://x:y@a.example/"}, "/path", {}, BASIC_X),
        ({"auth": ("u", "p")}, "http://a.example/", {"extensions": {"auth": ("x", "y")}}, BASIC_X),
        ({"auth": ("u", "p")}, "http://a.example/", {"extensions": {"auth": None}}, None),
    ],
)
def test_who_asks_is_said_by_the_call_or_else_the_client_or_else_the_url(
    settings: dict[str, Any], url: str, arguments: dict[str, Any], expected: str | None
) -> None:
    answers = Answers(Response(200))
    Client(transport=answers, **settings).get(url, **arguments)
    assert authorization(answers) == expected


def test_the_credentials_stay_on_a_redirect_within_the_origin() -> None:
    answers = Answers(redirect("/2"), Response(200))
    Client(transport=answers, follow_redirects=True, auth=("u", "p")).get(URL)
    assert authorization(answers) == BASIC_U


def test_the_credentials_of_the_url_stay_on_an_absolute_redirect_within_the_origin() -> None:
    answers = Answers(redirect("http://a.example/2"), Response(200))
    Client(transport=answers, follow_redirects=True).get("http://x:y@a.example/")
    assert authorization(answers) == BASIC_X


def test_the_credentials_do_not_go_to_another_origin() -> None:
    answers = Answers(redirect("http://b.example/"), Response(200))
    Client(transport=answers, follow_redirects=True, auth=("u", "p")).get(URL)
    assert authorization(answers) is None


def test_the_credentials_do_not_go_to_another_origin_with_the_next_request_either() -> None:
    answers = Answers(redirect("http://b.example/"), Response(200))
    client = Client(transport=answers, auth=("u", "p"))
    following = client.get(URL).next_request
    assert following is not None
    client.send(following)
    assert authorization(answers) is None


def test_the_credentials_go_along_with_the_next_request_within_the_origin() -> None:
    answers = Answers(redirect("/2"), Response(200))
    client = Client(transport=answers)
    following = client.get(URL, auth=("u", "p")).next_request
    assert following is not None
    client.send(following)
    assert authorization(answers) == BASIC_U


def test_an_auth_that_counts_as_false_is_used_all_the_same() -> None:
    class Empty(Auth):
        __len__ = list[object]().__len__

        def auth_flow(self, request: Request) -> AuthFlow:
            request.headers["Authorization"] = "empty"
            yield request

    answers = Answers(Response(200))
    Client(transport=answers, auth=Empty()).get(URL)
    assert authorization(answers) == "empty"


def test_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine a.example login u password p\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    answers = Answers(Response(200))
    Client(transport=answers).get(URL)
    assert authorization(answers) is None


# -- the chain ------------------------------------------------------------------------------------------


def test_redirects_are_not_followed_unless_told_so() -> None:
    response = Client(transport=Answers(redirect("/2"))).get(URL)
    assert response.status_code == 302


@pytest.mark.parametrize(
    ("setting", "argument", "expected"),
    [
        (True, USE_CLIENT_DEFAULT, 200),
        (True, False, 302),
        (False, True, 200),
        (False, USE_CLIENT_DEFAULT, 302),
    ],
)
def test_following_is_said_by_the_call_or_else_the_client(
    setting: bool, argument: Any, expected: int
) -> None:
    client = Client(transport=Answers(redirect("/2"), Response(200)), follow_redirects=setting)
    assert client.get(URL, follow_redirects=argument).status_code == expected


def test_following_may_be_said_by_the_request() -> None:
    client = Client(transport=Answers(redirect("/2"), Response(200)))
    assert client.get(URL, extensions={"follow_redirects": True}).status_code == 200


def test_the_number_of_redirects_is_bounded() -> None:
    client = Client(transport=Answers(redirect("/2"), redirect("/3")), follow_redirects=True, max_redirects=1)
    with pytest.raises(TooManyRedirects):
        client.get(URL)


def test_cookies_set_by_a_redirect_are_sent_with_the_next_request() -> None:
    moved = Response(302, headers=[("Location", "/2"), ("Set-Cookie", "s=1; Path=/")])
    answers = Answers(moved, Response(200))
    client = Client(transport=answers, follow_redirects=True)
    client.post(URL, data={"user": "u"})
    assert answers.last.headers["cookie"] == "s=1"
    assert client.cookies["s"] == "1"


def test_cookies_of_one_call_are_sent_with_that_call_only() -> None:
    answers = Answers(Response(200), Response(200))
    client = Client(transport=answers, cookies={"a": "1"})
    client.get(URL, cookies={"b": "2"})
    client.get(URL)
    assert [request.headers["cookie"] for request in answers.requests] == ["a=1; b=2", "a=1"]


def test_cookies_of_one_call_do_not_go_to_another_origin() -> None:
    answers = Answers(redirect("http://b.example/"), Response(200))
    Client(transport=answers, follow_redirects=True).get(URL, cookies={"secret": "1"})
    assert "cookie" not in answers.last.headers


def test_a_cookie_set_between_the_steps_of_an_auth_is_sent_with_the_second() -> None:
    class Twice(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            yield request
            yield request

    answers = Answers(Response(401, headers={"Set-Cookie": "nonce=1"}), Response(200))
    Client(transport=answers, auth=Twice()).get(URL)
    assert answers.last.headers["cookie"] == "nonce=1"


def test_hooks_see_what_is_really_sent() -> None:
    seen: list[tuple[str, bool, bool]] = []

    def note(request: Request) -> None:
        seen.append((str(request.url), "authorization" in request.headers, "cookie" in request.headers))

    client = Client(
        transport=Answers(
            ServerDisconnected(reused_silent=True), redirect("http://b.example/"), Response(200)
        ),
        follow_redirects=True,
        auth=("u", "p"),
        cookies={"a": "1"},
        event_hooks={"request": [note]},
    )
    client.get(URL)
    assert seen == [(URL, True, True), (URL, True, True), ("http://b.example/", False, True)]


def test_a_response_hook_may_raise_for_status() -> None:
    body = Pieces(b"no")
    client = Client(
        transport=Answers(Response(500, stream=body)), event_hooks={"response": [Response.raise_for_status]}
    )
    with pytest.raises(greenh2.HTTPStatusError):
        client.get(URL)
    assert body.closed


def test_a_response_hook_may_read_the_response() -> None:
    client = Client(
        transport=Answers(Response(200, stream=Pieces(b"x"))), event_hooks={"response": [Response.read]}
    )
    assert client.get(URL).content == b"x"


def test_hooks_may_be_added_later() -> None:
    seen: list[object] = []
    client = Client(transport=Answers(Response(200)))
    client.event_hooks["response"].append(seen.append)
    response = client.get(URL)
    assert seen == [response]


def test_what_was_not_processed_is_sent_again_with_gevents_sleep() -> None:
    errors = [ConnectError("refused", unprocessed=True) for _ in range(2)]
    ticks: list[int] = []
    ticking = gevent.spawn(ticks.append, 1)
    assert Client(transport=Answers(*errors, Response(200))).get(URL).status_code == 200
    assert ticks == [1]
    ticking.join()


# -- what must not be sent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "arguments", "error", "told"),
    [
        ("GET", "ftp://a.example/", {}, UnsupportedProtocol, "ftp"),
        ("GET", "/path", {}, UnsupportedProtocol, "'/path' has no scheme: .* base_url"),
        ("GET", "//u:hunter2@a.example/", {}, UnsupportedProtocol, "no scheme"),
        ("GET", "http:///path", {}, InvalidURL, "no host"),
        ("GET", "http://u:hunter2@a.example:99999/", {}, InvalidURL, "port"),
        ("GET", "http://a.example/\r\nX: 1", {}, InvalidURL, "control character"),
        (
            "GET",
            URL,
            {"headers": {"X-Bad": "hunter2\r\nX: 1"}},
            LocalProtocolError,
            "'X-Bad' holds a line break",
        ),
        (
            "GET",
            URL,
            {"headers": {"X-Bad": "hunter2\0"}},
            LocalProtocolError,
            "'X-Bad' holds a control character",
        ),
        ("GET", URL, {"headers": {"X\nBad": "1"}}, LocalProtocolError, "cannot be the name of a header"),
        ("GET", URL, {"headers": {"X-Ä": "1"}}, LocalProtocolError, "'X-Ä' cannot be the name of a header"),
        ("GET", URL, {"headers": {"X-Age": 7}}, TypeError, "'X-Age' is str or bytes, not int"),
        ("GET", URL, {"headers": {7: "hunter2"}}, TypeError, "name of a header .* not int: 7"),
        ("GET", URL, {"headers": "X-Age: hunter2"}, TypeError, "headers are a mapping .* not str"),
        ("GET", URL, {"headers": ["ab"]}, TypeError, "headers are .* not a str"),
        ("GET", URL, {"headers": [("X-Age", "1", "hunter2")]}, TypeError, "headers are .* tuple of 3"),
        ("GET", URL, {"params": 7}, TypeError, "params are a mapping or a list of pairs, not int"),
        ("GET", URL, {"params": [("a",)]}, TypeError, "params are .* tuple of 1"),
        ("GET", URL, {"params": {"a": {"b": "hunter2"}}}, TypeError, "not dict: make it text"),
        ("GET", URL, {"params": {"a": [1, ["hunter2"]]}}, TypeError, "not list: make it text"),
        ("GET", URL, {"params": {"a": b"hunter2"}}, TypeError, "not bytes: make it text"),
        ("GET", URL, {"params": {"a": bytearray(b"hunter2")}}, TypeError, "not bytearray: make it text"),
        ("GET", URL, {"params": {"a": {"hunter2": 1}.keys()}}, TypeError, "not dict_keys: make it text"),
        ("GET", URL, {"params": {"a": iter(["hunter2"])}}, TypeError, "not list_iterator: make it text"),
        ("GET", URL, {"cookies": {"a": 7}}, TypeError, "value of the cookie 'a' is str, not int"),
        ("GET", URL, {"cookies": {7: "hunter2"}}, TypeError, "name of a cookie is str, not int: 7"),
        ("GET", URL, {"cookies": "a=hunter2"}, TypeError, "cookies are a mapping .* not str"),
        ("POST", URL, {"data": {"a": {"b": "hunter2"}}}, TypeError, "not dict: make it text"),
        ("POST", URL, {"data": [("a", "hunter2")]}, TypeError, "not list: several values of one name"),
        ("GET", URL, {"timeout": (3, 5)}, ValueError, r"not \(3, 5\): Timeout\(5.0, connect=3.0\)"),
        ("GET", URL, {"auth": lambda request: None}, TypeError, "returned NoneType, not the Request"),
        ("GE T", URL, {}, LocalProtocolError, "'GE T' cannot be the method"),
        ("POST", URL, {"content": 7}, TypeError, "content is bytes, str, .* not int"),
        ("POST", URL, {"data": b"x"}, TypeError, "data is a mapping"),
        ("POST", URL, {"content": b"x", "json": 1}, TypeError, "one body"),
        ("GET", URL, {"timeout": -1}, ValueError, "-1"),
        ("GET", URL, {"timeout": "hunter2"}, TypeError, "a number of seconds"),
        ("GET", URL, {"auth": "u:hunter2"}, TypeError, "auth is a pair"),
        ("GET", "https://a.example/", {"extensions": {"sni_hostname": 7}}, TypeError, "sni_hostname"),
        (
            "GET",
            URL,
            {"extensions": {"follow_redirects": "no"}},
            TypeError,
            "follow_redirects is True or False",
        ),
        ("GET", 7, {}, TypeError, "int"),
        ("GET", URL, {"params": {b"a": "hunter2"}}, TypeError, "name of a value is text, not bytes: make it"),
        ("GET", URL, {"params": [(("a", "b"), 1)]}, TypeError, "name of a value is text, not tuple"),
        ("POST", URL, {"data": {("a", "b"): 1}}, TypeError, "name of a value is text, not tuple"),
        ("POST", URL, {"content": [b"x", "hunter2"]}, TypeError, "holds str, which is not bytes: encode it"),
        ("POST", URL, {"content": (1, 2)}, TypeError, "holds int, which is not bytes"),
        ("GET", URL, {"headers": {"X-A": "hunter2\udcff"}}, ValueError, "'X-A' cannot be written in utf-8"),
        ("GET", URL, {"cookies": {"a": "hunter2\udcff"}}, ValueError, "cookie 'a' holds a lone surrogate"),
        ("GET", URL, {"extensions": {"max_response_bytes": "9"}}, ValueError, "a number of bytes .* not '9'"),
        ("GET", URL, {"extensions": [1]}, TypeError, "extensions are a mapping by names, .* not list"),
        ("GET", URL, {"extensions": {"cookies": "a=hunter2"}}, TypeError, "cookies are a mapping .* not str"),
        ("GET", URL, {"params": {"a": "\udcff"}}, ValueError, "parameter 'a' holds a lone surrogate"),
    ],
)
def test_what_must_not_be_sent_is_refused_before_the_transport(
    method: str, url: Any, arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    answers = Answers()
    with pytest.raises(error, match=told) as caught:
        Client(transport=answers).request(method, url, **arguments)
    assert "hunter2" not in str(caught.value).replace("not 'hunter2'", "")
    assert answers.requests == []


def test_cookies_among_the_extensions_may_be_all_that_cookies_are_made_from() -> None:
    for cookies in ({"b": "2"}, [("b", "2")], Cookies({"b": "2"})):
        answers = Answers(Response(200))
        Client(transport=answers, cookies={"a": "1"}).get(URL, extensions={"cookies": cookies})
        assert answers.last.headers["cookie"] == "a=1; b=2"


def test_a_header_that_an_auth_sets_is_checked_as_well() -> None:
    def token(request: Request) -> Request:
        request.headers["Authorization"] = "Bearer s\r\nX: 1"
        return request

    answers = Answers()
    with pytest.raises(LocalProtocolError, match="'Authorization' holds a line break"):
        Client(transport=answers, auth=token).get(URL)
    assert answers.requests == []


def test_a_wrong_url_names_its_request() -> None:
    with pytest.raises(UnsupportedProtocol) as caught:
        Client(transport=Answers()).get("ftp://a.example/")
    assert caught.value.request.url == "ftp://a.example/"


# -- errors and interruptions ---------------------------------------------------------------------------


def test_an_error_of_the_transport_passes_and_knows_its_request() -> None:
    error = ConnectTimeout("slow")
    with pytest.raises(ConnectTimeout) as caught:
        Client(transport=Answers(error)).get(URL)
    assert caught.value is error
    assert caught.value.request.url == URL


def test_an_error_that_knows_its_request_keeps_it() -> None:
    own = Request("GET", "http://other.example/")
    with pytest.raises(ConnectTimeout) as caught:
        Client(transport=Answers(ConnectTimeout("slow", request=own))).get(URL)
    assert caught.value.request is own


@pytest.mark.parametrize("error", [*INTERRUPTIONS, ValueError("a bug")])
def test_whatever_is_raised_in_the_transport_passes_untouched(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        Client(transport=Answers(error)).get(URL)
    assert caught.value is error


@pytest.mark.parametrize("error", [*INTERRUPTIONS, ReadError("broken"), ValueError("a bug")])
def test_whatever_is_raised_while_the_body_is_read_closes_the_response(error: BaseException) -> None:
    body = Pieces(b"x", error)
    with pytest.raises(type(error)) as caught:
        Client(transport=Answers(Response(200, stream=body))).get(URL)
    assert caught.value is error
    assert body.closed


def test_a_body_that_cannot_be_decoded_is_an_error_and_closed() -> None:
    body = Pieces(b"not gzip")
    answer = Response(200, headers={"Content-Encoding": "gzip"}, stream=body)
    with pytest.raises(DecodingError) as caught:
        Client(transport=Answers(answer)).get(URL)
    assert caught.value.request.url == URL
    assert body.closed


@pytest.mark.parametrize("error", [*INTERRUPTIONS, ConnectError("refused")])
def test_the_body_of_a_request_that_failed_is_closed(error: BaseException) -> None:
    closed: list[bool] = []

    def upload() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    held: list[Iterator[bytes]] = []

    def transport(request: Request) -> Response:
        held.append(iter(request.body.chunks()))
        next(held[0])
        raise error

    with pytest.raises(type(error)):
        Client(transport=transport).post(URL, content=upload())
    assert closed == [True]


def test_an_outer_timeout_ends_a_request_that_hangs() -> None:
    def hang(request: Request) -> Response:
        gevent.sleep(60)
        raise AssertionError("the outer timeout has not come")  # pragma: no cover

    timer = gevent.Timeout(0.01)
    with pytest.raises(gevent.Timeout) as caught, timer:
        Client(transport=hang).get(URL)
    assert caught.value is timer


# -- streaming ------------------------------------------------------------------------------------------


def test_a_streamed_response_is_not_read_yet() -> None:
    body = Pieces(b"a", b"b")
    with Client(transport=Answers(Response(200, stream=body))).stream("GET", URL) as response:
        assert body.given == 0
        assert list(response.iter_bytes()) == [b"a", b"b"]


def test_a_streamed_response_is_closed_with_its_block() -> None:
    body = Pieces(b"a")
    with Client(transport=Answers(Response(200, stream=body))).stream("GET", URL) as response:
        pass
    assert body.closed
    with pytest.raises(StreamClosed):
        response.read()


@pytest.mark.parametrize("error", [*INTERRUPTIONS, ValueError("a bug")])
def test_a_streamed_response_is_closed_however_its_block_ends(error: BaseException) -> None:
    body = Pieces(b"a")
    client = Client(transport=Answers(Response(200, stream=body)))
    with pytest.raises(type(error)) as caught, client.stream("GET", URL):
        raise error
    assert caught.value is error
    assert body.closed


def test_an_error_that_comes_with_the_body_knows_its_request() -> None:
    client = Client(transport=Answers(Response(200, stream=Pieces(ReadError("broken")))))
    with pytest.raises(ReadError) as caught, client.stream("GET", URL) as response:
        response.read()
    assert caught.value.request.url == URL


def test_send_may_leave_the_response_to_be_closed_by_the_caller() -> None:
    body = Pieces(b"a")
    response = Client(transport=Answers(Response(200, stream=body))).send(Request("GET", URL), stream=True)
    assert not body.closed
    response.close()
    assert body.closed


# -- the life of a client -------------------------------------------------------------------------------


class Closable(MockTransport):
    def __init__(self) -> None:
        super().__init__(echo)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    retire = close

    def dump(self) -> str:
        return "one connection"

    def __repr__(self) -> str:
        return "<Closable>"


def test_closing_the_client_closes_its_transport_once() -> None:
    transport = Closable()
    client = Client(transport=transport)
    client.close()
    client.close()
    assert transport.closed == 1
    assert client.is_closed


def test_a_function_needs_no_closing() -> None:
    client = Client(transport=echo)
    client.close()
    assert client.is_closed


def test_the_end_of_the_with_block_closes() -> None:
    with Client(transport=echo) as client:
        assert not client.is_closed
    assert client.is_closed


def test_a_closed_client_sends_nothing() -> None:
    client = Client(transport=echo)
    client.close()
    with pytest.raises(RuntimeError, match=r"^Cannot send a request: the client has been closed\.$"):
        client.get(URL)


def test_a_closed_client_is_not_opened_again() -> None:
    client = Client(transport=echo)
    client.close()
    with pytest.raises(RuntimeError, match="Cannot open the client again"):
        client.__enter__()


def test_the_with_block_is_the_transports_as_well() -> None:
    events: list[str] = []

    class Opened(BaseTransport):
        def __enter__(self) -> Opened:
            events.append("enter")
            return self

        def __exit__(self, *exc: Any) -> None:
            super().__exit__(*exc)
            events.append(f"exit with {exc[0]}")

        def close(self) -> None:
            events.append("close")

    with pytest.raises(LookupError), Client(transport=Opened()):
        raise LookupError
    assert events == ["enter", "close", "exit with <class 'LookupError'>"]


def test_a_transport_may_be_used_in_a_with_block_of_its_own() -> None:
    with HTTPTransport() as transport:
        assert isinstance(transport, HTTPTransport)
    with Client(transport=transport) as client, pytest.raises(CloseError, match="has been closed"):
        client.get("http://127.0.0.1:1/")


def test_a_client_is_not_opened_twice() -> None:
    with Client(transport=echo) as client, pytest.raises(RuntimeError, match="Cannot open the client twice"):
        client.__enter__()


def test_a_client_in_use_may_still_be_opened() -> None:
    client = Client(transport=echo)
    client.get(URL)
    with client:
        assert client.get(URL).status_code == 200


class Own(HTTPTransport):
    retired = 0

    def retire(self, *, at_once: bool = False) -> None:
        type(self).retired += 1


def test_a_client_that_is_dropped_retires_its_own_transport_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "retired", 0)
    client = Client()
    client._own = Own()
    gc.disable()
    try:
        del client
    finally:
        gc.enable()
    assert Own.retired == 1


def test_a_client_that_was_closed_retires_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "retired", 0)
    client = Client()
    client._own = Own()
    client.close()
    del client
    assert Own.retired == 0


def test_a_client_that_is_dropped_leaves_a_transport_alone_that_was_given() -> None:
    transport = Closable()
    client = Client(transport=transport)
    del client
    assert transport.closed == 0


def test_a_client_that_could_not_be_made_is_dropped_quietly() -> None:
    with pytest.raises(ValueError, match="max_redirects is 0 or more, not -1"):
        Client(max_redirects=-1)


def test_the_state_is_that_of_the_transport() -> None:
    assert Client(transport=Closable()).dump() == "one connection"


def test_a_transport_without_a_state_shows_itself() -> None:
    assert Client(transport=echo).dump() == repr(echo)


def test_the_real_transport_has_a_state() -> None:
    assert isinstance(Client().dump(), str)


def test_the_repr_tells_the_state() -> None:
    client = Client(transport=Closable(), base_url="http://u:secret@a.example/api")
    assert repr(client) == "<Client open URL('http://u:[secure]@a.example/api/') <Closable>>"
    client.close()
    assert repr(client).startswith("<Client closed ")


def test_the_repr_without_a_base_url_is_short() -> None:
    assert repr(Client(transport=Closable())) == "<Client open <Closable>>"


def test_making_a_client_touches_no_hub_and_no_other_event_loop() -> None:
    program = (
        "import sys, gevent._hub_local as local, greenh2; greenh2.Client(); "
        "print(local.get_hub_if_exists(), sorted({'asyncio', 'anyio', 'trio', 'httpx'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None []\n"


def test_patching_after_the_import_raises_no_warning() -> None:
    program = (
        "import greenh2, greenh2.adapters.httpx; greenh2.Client(); "
        "from gevent import monkey; monkey.patch_all(); print('patched')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("patched\n", "")


# -- settings as attributes -----------------------------------------------------------------------------


def test_the_settings_are_attributes() -> None:
    client = Client(
        transport=echo,
        auth=("u", "p"),
        params={"a": "1"},
        headers={"X-A": "1"},
        cookies={"c": "1"},
        timeout=3,
        follow_redirects=True,
        base_url="http://a.example/api",
        trust_env=False,
    )
    assert client.auth == BasicAuth("u", "p")
    assert client.params == greenh2.QueryParams({"a": "1"})
    assert client.headers["x-a"] == "1"
    assert dict(client.cookies) == {"c": "1"}
    assert client.timeout == Timeout(3.0)
    assert client.follow_redirects is True
    assert client.base_url == "http://a.example/api/"
    assert client.trust_env is False
    assert client.event_hooks == {"request": [], "response": []}


def test_settings_may_be_given_anew() -> None:
    answers = Answers(redirect("/api/2"), Response(200))
    seen: list[object] = []
    client = Client(transport=answers)
    client.auth = ("u", "p")
    client.params = {"a": "1"}
    client.headers = {"X-A": "1"}
    client.cookies = {"c": "1"}
    client.timeout = 3
    client.follow_redirects = True
    client.base_url = "http://a.example/api"
    client.event_hooks = {"request": [seen.append]}
    client.get("1")
    first = answers.requests[0]
    assert str(first.url) == "http://a.example/api/1?a=1"
    assert (first.headers["x-a"], first.headers["cookie"]) == ("1", "c=1")
    assert first.headers["accept"] == "*/*"
    assert first.extensions["timeout"] == Timeout(3.0)
    assert authorization(answers) == BASIC_U
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"timeout": -1}, ValueError, "-1"),
        ({"auth": 7}, TypeError, "auth is a pair"),
        ({"event_hooks": {"nothing": []}}, ValueError, "not for 'nothing'"),
        ({"event_hooks": {"request": print}}, TypeError, r"event_hooks\['request'\] is a list of functions"),
        ({"base_url": "a.example/api"}, InvalidURL, "a.example/api"),
        ({"http1": False, "http2": False}, ValueError, "no protocol"),
        ({"max_redirects": "5"}, ValueError, "max_redirects is 0 or more, not '5'"),
        ({"max_redirects": None}, ValueError, "max_redirects is 0 or more, not None"),
        ({"limits": None}, TypeError, r"limits is greenh2.Limits\(...\), .* not None"),
        ({"limits": {"max_connections": 5}}, TypeError, "not {'max_connections': 5}"),
        ({"verify": None}, TypeError, "verify is True, False, .* not None"),
        ({"verify": 0}, TypeError, "verify is True, False, .* not 0"),
        ({"verify": b"ca.pem"}, TypeError, "not b'ca.pem'"),
        ({"cert": 7}, TypeError, "cert is a path, .* not 7"),
        ({"cert": ()}, TypeError, "not one of nothing"),
        ({"cert": ("a", "b", "hunter2", "d")}, TypeError, "not one of str, str, str, str"),
        ({"transport": HTTPTransport}, TypeError, "not the class HTTPTransport: make one of it"),
        ({"follow_redirects": "no"}, TypeError, "follow_redirects is True or False, not 'no'"),
        ({"default_encoding": "utf-88"}, ValueError, "'utf-88' is no encoding"),
        ({"default_encoding": 8}, TypeError, "default_encoding is the name of an encoding, .* not 8"),
    ],
)
def test_settings_that_could_never_work_are_refused(
    settings: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        Client(**settings)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("verify", r"say Client\(verify=\.\.\.\)"),
        ("proxies", "or mounts= where"),
        ("hooks", r"say client\.event_hooks"),
        ("stream", r"say client\.stream\("),
    ],
)
def test_what_cannot_be_set_later_is_refused_and_told_where_to_say(name: str, told: str) -> None:
    client = Client(transport=Answers())
    with pytest.raises(AttributeError, match=told):
        setattr(client, name, {})
    assert name == "stream" or not hasattr(client, name)


def test_whether_one_request_follows_redirects_is_told_by_a_bool() -> None:
    answers = Answers()
    with pytest.raises(TypeError, match="not 'no'"):
        Client(transport=answers).get("http://a.example/", follow_redirects="no")  # type: ignore[arg-type]
    assert not answers.requests
