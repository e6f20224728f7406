"""WSGITransport: what an application is told, and what becomes of its answer."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast
from wsgiref.validate import validator

import gevent
import pytest

import greenh2

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

URL = "http://a.example/"
HEAD = ("200 OK", [("Content-Type", "text/plain")])


class Body:
    """The body of an application: counts what was taken of it, and its closings."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = pieces
        self.taken = self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


def serving(
    body: Iterable[bytes], *, before: Callable[[Any], object] = lambda write: None
) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        before(start_response(*HEAD))
        return body

    return app


def told(method: str = "GET", url: str = URL, *, settings: Any = None, **arguments: Any) -> dict[str, Any]:
    """Return the environ of a request, of which a validator has found that it is as PEP 3333 wants it."""
    seen: dict[str, Any] = {}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        start_response(*HEAD)
        return [b"x"]

    transport = greenh2.WSGITransport(validator(app), **(settings or {}))
    with greenh2.Client(transport=transport) as client:
        assert client.request(method, url, **arguments).text == "x"
    return seen


def test_an_application_is_told_about_the_request() -> None:
    seen = told(url="https://a.example:8443/caf%C3%A9%2Fx?q=1&q=%20")
    names = ["wsgi.url_scheme", "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME"]
    names += ["SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "HTTP_HOST"]
    assert [seen[name] for name in names] == [
        *("https", "GET", "", "/cafÃ©/x", "q=1&q=%20", "a.example"),  # the path is bytes, shown as Latin-1
        *("8443", "HTTP/1.1", "127.0.0.1", "a.example:8443"),
    ]
    assert "CONTENT_LENGTH" not in seen


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
def test_the_default_port_is_told(scheme: str, port: str) -> None:
    assert told(url=f"{scheme}://a.example/")["SERVER_PORT"] == port


def test_the_settings_are_told() -> None:
    errors = io.StringIO()
    seen = told(settings={"script_name": "/shop", "remote_addr": "192.0.2.7", "wsgi_errors": errors})
    assert (seen["SCRIPT_NAME"], seen["REMOTE_ADDR"]) == ("/shop", "192.0.2.7")
    seen["wsgi.errors"].write("to the file given")
    assert errors.getvalue() == "to the file given"


def test_errors_go_to_standard_error_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    told()["wsgi.errors"].write("here")
    assert capsys.readouterr().err == "here"
    assert sys.stderr is not None


def test_headers_are_told_and_those_of_one_name_are_joined() -> None:
    seen = told(headers=[("X-Tea", "green"), ("x-tea", "white"), ("Accept", "a/b")])
    assert (seen["HTTP_X_TEA"], seen["HTTP_ACCEPT"]) == ("green,white", "a/b")


@pytest.mark.parametrize("content", [b"tea", iter([b"t", b"ea"])], ids=["known length", "unknown length"])
def test_the_body_is_told_with_its_length(content: Any) -> None:
    seen = told("POST", content=content, headers={"Content-Type": "text/tea"})
    assert (seen["body"], seen["CONTENT_LENGTH"], seen["CONTENT_TYPE"]) == (b"tea", "3", "text/tea")
    assert "HTTP_TRANSFER_ENCODING" not in seen
    assert "HTTP_CONTENT_TYPE" not in seen


def test_an_empty_body_has_a_length_where_one_is_said() -> None:
    assert told("POST")["CONTENT_LENGTH"] == "0"


def test_the_answer_comes_back() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("404 Not Here", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-A", "\xe9")])
        return [b"no ", b"tea"]

    with greenh2.Client(transport=greenh2.WSGITransport(app=app)) as client:
        response = client.get(URL)
        assert dict(client.cookies) == {"a": "1", "b": "2"}
    assert (response.status_code, response.reason_phrase, response.text) == (404, "Not Here", "no tea")
    assert response.headers["x-a"] == "\xe9"
    assert response.request.url == URL


def test_the_body_is_taken_as_it_is_read_and_closed_once() -> None:
    body = Body(b"", b"one", b"two", b"three")
    with greenh2.Client(transport=greenh2.WSGITransport(serving(body))) as client:
        with client.stream("GET", URL) as response:
            assert body.taken == 2  # as much as it takes to know the head
            pieces = response.iter_raw()
            assert (next(pieces), next(pieces)) == (b"one", b"two")
            assert (body.taken, body.closed) == (3, 0)
            pieces.close()
        assert (body.taken, body.closed) == (3, 1)


def test_a_body_that_is_read_is_closed_once() -> None:
    body = Body(b"one", b"two")
    with greenh2.Client(transport=greenh2.WSGITransport(serving(body))) as client:
        assert client.get(URL).text == "onetwo"
    assert body.closed == 1


def test_the_head_may_come_with_the_first_piece() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("201 Created", [])
        yield b"made"

    with greenh2.Client(transport=greenh2.WSGITransport(app)) as client:
        assert (client.get(URL).status_code, client.get(URL).text) == (201, "made")


def test_an_empty_answer_is_one() -> None:
    with greenh2.Client(transport=greenh2.WSGITransport(serving([]))) as client:
        assert client.get(URL).content == b""


def test_what_is_written_comes_before_the_rest() -> None:
    def begun(write: Callable[[bytes], None]) -> None:
        write(b"one ")
        write(b"two ")

    for rest in ([b"three"], [b"", b"three"]):
        transport = greenh2.WSGITransport(serving(rest, before=begun))
        with greenh2.Client(transport=transport) as client:
            assert client.get(URL).text == "one two three"
    with greenh2.Client(transport=greenh2.WSGITransport(serving([], before=begun))) as client:
        assert client.get(URL).text == "one two "


def test_what_is_written_between_pieces_stays_there() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response(*HEAD)
        yield b"one "
        write(b"two ")
        yield b"three "
        write(b"four")

    with greenh2.Client(transport=greenh2.WSGITransport(app)) as client:
        assert client.get(URL).text == "one two three four"


def fails(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("no tea")


def reports(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    try:
        raise LookupError("no tea")
    except LookupError:
        start_response("503 No Tea", [], sys.exc_info())
    return [b"sorry"]


def reports_later(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return reports(environ, start_response)


@pytest.mark.parametrize("app", [fails, reports, reports_later])
def test_an_exception_of_the_application_passes(app: WSGIApplication) -> None:
    with (
        greenh2.Client(transport=greenh2.WSGITransport(app)) as client,
        pytest.raises(LookupError, match="no tea"),
    ):
        client.get(URL)


@pytest.mark.parametrize(
    ("app", "status", "text"), [(fails, 500, ""), (reports, 503, "sorry"), (reports_later, 503, "sorry")]
)
def test_an_exception_of_the_application_may_be_answered(
    app: WSGIApplication, status: int, text: str
) -> None:
    with greenh2.Client(transport=greenh2.WSGITransport(app, raise_app_exceptions=False)) as client:
        response = client.get(URL)
    assert (response.status_code, response.text) == (status, text)


def test_a_body_that_fails_before_its_first_piece_is_answered_as_well() -> None:
    body = Body(LookupError("no tea"))
    transport = greenh2.WSGITransport(serving(body), raise_app_exceptions=False)
    with greenh2.Client(transport=transport) as client:
        assert client.get(URL).status_code == 500
    assert body.closed == 1


@pytest.mark.parametrize("raises", [True, False])
def test_an_exception_in_the_midst_of_the_body_passes(raises: bool) -> None:
    body = Body(b"one", LookupError("no tea"))
    transport = greenh2.WSGITransport(serving(body), raise_app_exceptions=raises)
    with greenh2.Client(transport=transport) as client, pytest.raises(LookupError, match="no tea"):
        client.get(URL)
    assert body.closed == 1


def test_an_error_that_is_reported_in_the_midst_of_the_body_passes() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response(*HEAD)
        yield b"one"
        reports(environ, start_response)

    transport = greenh2.WSGITransport(app, raise_app_exceptions=False)
    with greenh2.Client(transport=transport) as client, pytest.raises(LookupError, match="no tea"):
        client.get(URL)


def test_a_kill_passes_even_where_exceptions_do_not() -> None:
    body = Body(gevent.GreenletExit())
    transport = greenh2.WSGITransport(serving(body), raise_app_exceptions=False)
    with greenh2.Client(transport=transport) as client, pytest.raises(gevent.GreenletExit):
        client.get(URL)
    assert body.closed == 1


def silent(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return [b"x"]


def twice(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response(*HEAD)
    start_response(*HEAD)
    return [b"x"]


def wordy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("OK", [])
    return [b"x"]


def heading(status: Any, headers: Any) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, headers)
        return [b"x"]

    return app


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        (silent, "never called start_response"),
        (twice, "twice"),
        (wordy, "'OK' as a status"),
        (heading("200 \u20ac", []), "'200 \u20ac' as a status"),
        (serving(b"x"), "int as part of its body"),  # type: ignore[arg-type]  # what is tested
        (heading(200, []), "200 as a status"),
        (heading("200 OK", {"A": "1"}), "headers as dict"),
        (heading("200 OK", None), "headers as NoneType"),
        (heading("200 OK", [("A",)]), r"\('A',\) as a header"),
        (heading("200 OK", [("A", b"1")]), r"\('A', b'1'\) as a header"),
        (heading("200 OK", [("A", "\u20ac")]), "header 'A' .* is not ISO-8859-1"),
        (serving(cast("Any", None)), "returned NoneType, and not an iterable"),
        (serving(cast("Any", ["text"])), "str as part of its body"),
        (serving(cast("Any", [b"x", None])), "NoneType as part of its body"),
        (serving([], before=lambda write: write("text")), "str as part of its body"),
    ],
)
def test_an_application_that_breaks_the_rules_is_told_so(app: WSGIApplication, complaint: str) -> None:
    with (
        greenh2.Client(transport=greenh2.WSGITransport(app)) as client,
        pytest.raises(RuntimeError, match=complaint),
    ):
        client.get(URL)


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(TypeError, match="app is a WSGI application"):
        greenh2.WSGITransport(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"raise_app_exceptions": "no"}, "raise_app_exceptions is True or False, not 'no'"),
        ({"script_name": None}, "script_name is a str, not None"),
        ({"remote_addr": 7}, "remote_addr is a str, not 7"),
        ({"wsgi_errors": "log"}, "wsgi_errors is a file for text, not 'log'"),
    ],
)
def test_settings_of_the_wrong_type_are_refused_by_name(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        greenh2.WSGITransport(serving([b"x"]), **settings)


def test_a_mock_without_a_function_is_refused() -> None:
    with pytest.raises(TypeError, match="handler is a function from Request to Response, not NoneType"):
        greenh2.MockTransport(None)  # type: ignore[arg-type]  # what is tested


def test_redirects_and_cookies_go_on_as_with_a_server() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            start_response("302 Found", [("Location", "/there"), ("Set-Cookie", "a=1")])
            return [b""]
        start_response(*HEAD)
        return [environ["HTTP_COOKIE"].encode()]

    transport = greenh2.WSGITransport(app)
    with greenh2.Client(transport=transport, base_url="http://a.example") as client:
        response = client.get("/", follow_redirects=True)
    assert (response.text, [earlier.status_code for earlier in response.history]) == ("a=1", [302])


def test_a_transport_says_which_application_it_calls() -> None:
    assert repr(greenh2.WSGITransport(silent)).startswith("<WSGITransport <function silent at ")
