"""Auth proves who is asking, by a pair, a function or a flow of several requests."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenh2 import URL, Auth, BasicAuth, FunctionAuth, Request, Response, StreamConsumed
from greenh2._middleware.auth import Authenticate, AuthFlow, auth_in_url, auth_of
from tests.client.answers import Answers, Pieces


def send(auth: object, *answers: Response | BaseException, **arguments: Any) -> tuple[Response, Answers]:
    transport = Answers(*answers)
    request = Request("POST", "http://a.example/", extensions={"auth": auth}, **arguments)
    return Authenticate(transport)(request), transport


class Challenge(Auth):
    """Answers a 401 with what its body asks for."""

    requires_response_body = True

    def auth_flow(self, request: Request) -> AuthFlow:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = response.text
            yield request


class Digest(Auth):
    """Puts the length of the body into a header."""

    requires_request_body = True

    def auth_flow(self, request: Request) -> AuthFlow:
        request.headers["X-Length"] = str(len(request.content))
        yield request


@pytest.mark.parametrize("auth", [None, "not an Auth"])
def test_without_an_auth_the_request_is_sent_as_it_is(auth: object) -> None:
    transport = Answers(Response(200))
    request = Request("GET", "http://a.example/", extensions={"auth": auth})
    Authenticate(transport)(request)
    assert transport.last is request


def test_basic_auth_is_sent_with_the_first_request() -> None:
    _, transport = send(BasicAuth("Aladdin", "open sesame"), Response(200))
    assert transport.last.headers["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_basic_auth_is_utf_8() -> None:
    _, transport = send(BasicAuth("test", "123\u00a3"), Response(200))
    assert transport.last.headers["authorization"] == "Basic dGVzdDoxMjPCow=="


def test_basic_auth_takes_bytes() -> None:
    assert BasicAuth(b"u", b"p") == BasicAuth("u", "p")
    assert hash(BasicAuth(b"u", b"p")) == hash(BasicAuth("u", "p"))
    assert BasicAuth("u", "p") != "u:p"


def test_basic_auth_refuses_other_types_without_showing_them() -> None:
    with pytest.raises(TypeError, match="The password of BasicAuth is str or bytes, not int"):
        BasicAuth("u", 1234)  # type: ignore[arg-type]  # what is tested


def test_the_password_is_not_shown() -> None:
    assert repr(BasicAuth("u", "secret")) == "BasicAuth('u', '[secure]')"


def test_the_credentials_are_set_on_a_copy() -> None:
    request = Request("GET", "http://a.example/", extensions={"auth": BasicAuth("u", "p")})
    Authenticate(Answers(Response(200)))(request)
    assert "authorization" not in request.headers


def test_a_function_returns_the_request_to_send() -> None:
    def sign(request: Request) -> Request:
        request.headers["X-Key"] = "k"
        return request

    _, transport = send(FunctionAuth(sign), Response(200))
    assert transport.last.headers["x-key"] == "k"
    assert repr(FunctionAuth(sign)).startswith("FunctionAuth(<function")


def test_an_auth_may_do_nothing() -> None:
    response, _ = send(Auth(), Response(200))
    assert response.status_code == 200


def test_a_flow_sees_the_response_and_may_ask_again() -> None:
    challenge = Response(401, stream=Pieces(b"token ", b"7"))
    response, transport = send(Challenge(), challenge, Response(200))
    assert transport.last.headers["authorization"] == "token 7"
    assert response.history == [challenge]
    assert challenge.is_closed


def test_what_a_flow_does_next_does_not_show_in_what_was_sent() -> None:
    class Twice(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            for step in ("one", "two"):
                request.headers["Authorization"] = request.extensions["step"] = step
                yield request

    class Answering(Answers):
        def __call__(self, request: Request) -> Response:
            response = super().__call__(request)
            response.request = request
            return response

    transport = Answering(Response(401), Response(200))
    request = Request("GET", "http://a.example/", extensions={"auth": Twice()})
    response = Authenticate(transport)(request)
    steps = [step.request for step in (*response.history, response)]
    assert [step.headers["authorization"] for step in steps] == ["one", "two"]
    assert [step.extensions["step"] for step in steps] == ["one", "two"]
    assert "authorization" not in request.headers


def test_each_response_of_a_flow_has_those_before_it_as_history() -> None:
    class Thrice(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            yield request
            yield request
            yield request

    answers = [Response(401), Response(401), Response(200)]
    response, _ = send(Thrice(), *answers)
    assert response is answers[2]
    assert [answer.history for answer in answers] == [[], answers[:1], answers[:2]]


def test_a_flow_that_is_content_ends_with_the_first_response() -> None:
    answer = Response(200, stream=Pieces(b"fine"))
    response, _ = send(Challenge(), answer)
    assert response is answer
    assert response.text == "fine"


def test_a_flow_may_want_the_body_of_the_request() -> None:
    _, transport = send(Digest(), Response(200), content=iter([b"ab", b"c"]))
    assert transport.last.headers["x-length"] == "3"
    assert transport.last.content == b"abc"


def test_a_body_that_was_read_for_a_flow_can_be_sent_again_by_others() -> None:
    request = Request("POST", "http://a.example/", content=iter([b"x"]), extensions={"auth": Digest()})
    Authenticate(Answers(Response(200)))(request)
    assert request.content == b"x"


def test_a_flow_used_by_itself_reads_the_body_too() -> None:
    request = Request("POST", "http://a.example/", content=iter([b"x"]))
    assert next(Digest().sync_auth_flow(request)).content == b"x"


def test_a_body_that_can_be_read_only_once_is_not_sent_twice() -> None:
    def transport(request: Request) -> Response:
        b"".join(request.body.chunks())
        return Response(401, text="token")

    request = Request("POST", "http://a.example/", content=iter([b"x"]), extensions={"auth": Challenge()})
    with pytest.raises(StreamConsumed):
        Authenticate(transport)(request)


def test_an_error_of_the_transport_ends_the_flow() -> None:
    ended: list[bool] = []

    class Watched(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            try:
                yield request
            finally:
                ended.append(True)

    interruption = gevent.Timeout()
    with pytest.raises(gevent.Timeout) as caught:
        send(Watched(), interruption)
    assert caught.value is interruption
    assert ended == [True]


@pytest.mark.parametrize("interruption", [gevent.Timeout(), gevent.GreenletExit(), ValueError()])
def test_an_error_while_the_flow_reads_closes_the_response_and_passes(interruption: BaseException) -> None:
    body = Pieces(b"tok", interruption)
    with pytest.raises(type(interruption)) as caught:
        send(Challenge(), Response(401, stream=body))
    assert caught.value is interruption
    assert body.closed


def test_an_error_in_the_flow_closes_the_response() -> None:
    class Broken(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            yield request
            raise ValueError("cannot parse the challenge")

    body = Pieces()
    with pytest.raises(ValueError, match="cannot parse"):
        send(Broken(), Response(401, stream=body))
    assert body.closed


def test_none_stands_for_no_auth() -> None:
    assert auth_of(None) is None


def test_a_pair_stands_for_basic_auth() -> None:
    assert auth_of(("u", "p")) == BasicAuth("u", "p")


def test_an_auth_stands_for_itself() -> None:
    auth = Auth()
    assert auth_of(auth) is auth


def test_a_function_stands_for_function_auth() -> None:
    assert isinstance(auth_of(lambda request: request), FunctionAuth)


@pytest.mark.parametrize("auth", ["user:secret", ("u", "secret", "x"), 7])
def test_what_stands_for_no_auth_is_refused_without_showing_it(auth: Any) -> None:
    with pytest.raises(TypeError, match="auth is a pair") as caught:
        auth_of(auth)
    assert "secret" not in str(caught.value)


def test_user_and_password_of_a_url_are_decoded() -> None:
    assert auth_in_url(URL("http://jo%40x:p%3A@a.example/")) == BasicAuth("jo@x", "p:")
    assert auth_in_url(URL("http://jo:p%E9%C3%A9@a.example/")) == BasicAuth("jo", b"p\xe9\xc3\xa9")


def test_a_url_without_a_user_has_no_auth() -> None:
    assert auth_in_url(URL("http://a.example/")) is None


class Yields(Auth):
    """A flow that yields what it is given, whatever that is."""

    def __init__(self, *what: Any) -> None:
        self.what = what

    def auth_flow(self, request: Request) -> AuthFlow:
        for one in self.what:
            response = yield one
            assert response.status_code == 401


class YieldsItself(Yields):
    """The same without the flow around it."""

    def sync_auth_flow(self, request: Request) -> AuthFlow:
        return self.auth_flow(request)


@pytest.mark.parametrize("kind", [Yields, YieldsItself])
def test_a_flow_that_yields_nothing_is_named(kind: type[Yields]) -> None:
    with pytest.raises(TypeError, match=f"auth_flow of {kind.__name__} yielded no request at all"):
        send(kind())


@pytest.mark.parametrize("kind", [Yields, YieldsItself])
def test_a_flow_that_yields_what_is_no_request_is_named_and_its_response_closed(kind: type[Yields]) -> None:
    body = Pieces(b"x")
    with pytest.raises(TypeError, match=f"auth_flow of {kind.__name__} yielded str, not the Request to send"):
        send(kind(Request("GET", "http://a.example/"), "secret"), Response(401, stream=body))
    assert body.closed


def test_a_flow_may_begin_to_read_a_response_and_ask_again() -> None:
    class Curious(Auth):
        def auth_flow(self, request: Request) -> AuthFlow:
            pieces = (yield request).iter_bytes()
            request.headers["X-First"] = next(pieces).decode()
            yield request

    body = Pieces(b"one", b"two")
    response, transport = send(Curious(), Response(401, stream=body), Response(200))
    assert response.status_code == 200
    assert transport.last.headers["x-first"] == "one"
    assert body.closed
