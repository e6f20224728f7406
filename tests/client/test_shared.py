"""What several requests, greenlets or threads share: a Response of a test, a list of hooks, a response that is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gevent
import pytest
from gevent.event import Event

from greenh2 import (
    Client,
    MockTransport,
    PoolTimeout,
    ReadError,
    Request,
    Response,
    StreamClosed,
    TooManyRedirects,
    WSGITransport,
)
from tests.client.answers import Answers, Pieces

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

URL = "http://a.example/"


class Waiting:
    """The body of a response, of an application too, that waits in its midst, and notes how often it was closed."""

    def __init__(self) -> None:
        self.begun, self.go_on = Event(), Event()
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        self.begun.set()
        assert self.go_on.wait(5.0)
        yield b"two"

    def close(self) -> None:
        self.closed += 1


def test_a_response_that_is_returned_to_several_requests_has_the_history_of_the_last() -> None:
    last = Response(200)

    def answer(request: Request) -> Response:
        return last if request.url.path == "/b" else Response(302, headers={"Location": "/b"})

    client = Client(transport=MockTransport(answer), follow_redirects=True)
    for _ in range(3):
        assert [earlier.status_code for earlier in client.get(URL).history] == [302]
    assert client.get(f"{URL}b").history == []


def test_one_response_for_each_step_of_a_loop_of_redirects_counts_once_for_each() -> None:
    redirecting = Response(302, headers={"Location": "/"})
    client = Client(transport=lambda _: redirecting, follow_redirects=True, max_redirects=12)
    with pytest.raises(TooManyRedirects):
        client.get(URL)
    assert len(redirecting.history) == 12


def test_a_hook_that_takes_itself_from_the_list_keeps_no_other_from_being_called() -> None:
    called: list[str] = []
    client = Client(transport=lambda _: Response(200))
    for event in ("request", "response"):
        hooks = client.event_hooks[event]

        def once(_: object, event: str = event) -> None:
            called.append(f"{event}, once")
            client.event_hooks[event].pop(0)

        def always(_: object, event: str = event) -> None:
            called.append(f"{event}, always")

        hooks.extend([once, always])
    for _ in range(2):
        client.get(URL)
    first = ["request, once", "request, always", "response, once", "response, always"]
    assert called == [*first, "request, always", "response, always"]


def test_an_error_of_closing_takes_the_place_of_none_that_is_under_way() -> None:
    error = gevent.Timeout()
    body = Pieces(b"one", error, closing=ReadError("closing"))
    client = Client(transport=Answers(Response(200, stream=body)))
    with pytest.raises(gevent.Timeout) as caught:
        client.get(URL)
    assert caught.value is error
    assert body.closed


def test_a_response_that_another_greenlet_closes_is_no_shorter_one() -> None:
    body = Waiting()
    client = Client(transport=Answers(Response(200, stream=body)))
    with client.stream("GET", URL) as response:
        reader = gevent.spawn(response.read)
        assert body.begun.wait(5.0)
        response.close()
        body.go_on.set()
        with pytest.raises(StreamClosed, match="closed before it was read to its end"):
            reader.get(timeout=5.0)
    assert body.closed == 1


def test_a_response_closed_when_its_last_piece_was_read_is_no_whole_one() -> None:
    response = Response(200, stream=Pieces(b"one"))
    pieces = response.iter_bytes()
    assert next(pieces) == b"one"
    response.close()
    with pytest.raises(StreamClosed):
        next(pieces)


def test_an_application_that_waits_in_its_body_is_closed_once_it_goes_on() -> None:
    body = Waiting()
    running: list[bool] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield from body
        finally:
            running.append(body.go_on.is_set())

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        return pieces()

    client = Client(transport=WSGITransport(app=app))
    with client.stream("GET", URL) as response:
        reader = gevent.spawn(response.read)
        assert body.begun.wait(5.0)
        response.close()  # a generator that runs cannot be closed
        body.go_on.set()
        with pytest.raises(StreamClosed):
            reader.get(timeout=5.0)
    assert running == [True]


def test_a_request_that_fails_before_it_is_sent_does_not_cut_the_upload_of_another_greenlet_short() -> None:
    begun, go_on, closed = Event(), Event(), Event()

    def body() -> Iterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.set()

    def slow(request: Request) -> Response:
        pieces = iter(request.stream)
        first = next(pieces)
        begun.set()
        assert go_on.wait(5.0)
        return Response(200, content=first + b"".join(pieces))

    request = Request("POST", URL, content=body())
    job = gevent.spawn(Client(transport=slow).send, request)
    assert begun.wait(5.0)
    with pytest.raises(PoolTimeout):
        Client(transport=Answers(PoolTimeout("no place"))).send(request)
    assert not closed.is_set()
    go_on.set()
    assert job.get(timeout=5.0).content == b"onetwo"
    assert closed.is_set()
