"""CallHooks shows what goes out and what comes in."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenh2 import Client, Request, Response
from greenh2._middleware.hooks import CallHooks, event_hooks_of
from tests.client.answers import Answers, Pieces


def raising(error: BaseException) -> Any:
    def hook(_: object) -> None:
        raise error

    return hook


def test_hooks_are_called_in_order_before_and_after_the_request() -> None:
    seen: list[object] = []
    sent: list[Request] = []
    answer = Response(200)
    hooks = event_hooks_of({"request": [seen.append, seen.append], "response": [seen.append]})

    def transport(request: Request) -> Response:
        sent.append(request)
        seen.append("sent")
        return answer

    assert CallHooks(transport, hooks=lambda: hooks)(Request("GET", "http://a.example/")) is answer
    assert seen == [*sent * 2, "sent", answer]


def test_a_request_hook_may_change_the_headers() -> None:
    def sign(request: Request) -> None:
        request.headers["X-Signed"] = "yes"

    transport = Answers(Response(200))
    CallHooks(transport, hooks=lambda: {"request": [sign]})(Request("GET", "http://a.example/"))
    assert transport.last.headers["x-signed"] == "yes"


@pytest.mark.parametrize("settings", [{}, {"cookies": {"a": "b"}}, {"auth": ("user", "password")}])
def test_what_a_request_hook_sets_goes_to_the_server_that_it_was_set_for(settings: Any) -> None:
    def sign(request: Request) -> None:
        if request.url.host == "a.example":
            request.headers["X-Key"] = "of a"

    transport = Answers(Response(302, headers={"Location": "http://b.example/"}), Response(200))
    hooks = {"request": [sign]}
    with Client(transport=transport, event_hooks=hooks, follow_redirects=True, **settings) as client:
        response = client.get("http://a.example/")
    assert [sent.headers.get("x-key") for sent in transport.requests] == ["of a", None]
    assert response.history[0].request.headers["x-key"] == "of a"


def test_an_error_in_a_request_hook_sends_nothing() -> None:
    transport = Answers()
    with pytest.raises(ValueError, match="no"):
        CallHooks(transport, hooks=lambda: {"request": [raising(ValueError("no"))]})(
            Request("GET", "http://a.example/")
        )
    assert transport.requests == []


@pytest.mark.parametrize("error", [ValueError(), gevent.Timeout(), gevent.GreenletExit()])
def test_an_error_in_a_response_hook_closes_the_response_and_passes(error: BaseException) -> None:
    body = Pieces()
    with pytest.raises(type(error)) as caught:
        CallHooks(Answers(Response(200, stream=body)), hooks=lambda: {"response": [raising(error)]})(
            Request("GET", "http://a.example/")
        )
    assert caught.value is error
    assert body.closed


def test_no_hooks_are_two_empty_lists() -> None:
    assert event_hooks_of(None) == {"request": [], "response": []}


def test_hooks_for_an_unknown_event_are_refused() -> None:
    with pytest.raises(ValueError, match="'request' or 'response', not for 'answer'"):
        event_hooks_of({"answer": [print]})


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="An event hook is a function, not str"):
        event_hooks_of({"request": ["print"]})  # type: ignore[list-item]  # what is tested


def test_hooks_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(TypeError, match="lists of functions, not list"):
        event_hooks_of([print])  # type: ignore[arg-type]  # what is tested
