"""CallHooks shows what goes out and what comes in."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from greenh2 import Request, Response
from greenh2._middleware.hooks import CallHooks, event_hooks_of
from tests.client.answers import Answers, Pieces


def raising(error: BaseException) -> Any:
    def hook(_: object) -> None:
        raise error

    return hook


def test_hooks_are_called_in_order_before_and_after_the_request() -> None:
    seen: list[object] = []
    request, answer = Request("GET", "http://a.example/"), Response(200)
    hooks = event_hooks_of({"request": [seen.append, seen.append], "response": [seen.append]})

    def transport(_: Request) -> Response:
        seen.append("sent")
        return answer

    assert CallHooks(transport, hooks=lambda: hooks)(request) is answer
    assert seen == [request, request, "sent", answer]


def test_a_request_hook_may_change_the_headers() -> None:
    def sign(request: Request) -> None:
        request.headers["X-Signed"] = "yes"

    transport = Answers(Response(200))
    CallHooks(transport, hooks=lambda: {"request": [sign]})(Request("GET", "http://a.example/"))
    assert transport.last.headers["x-signed"] == "yes"


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
