"""Every verb sends its method, and hands on what it was told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from greenh2 import Client, Response, Timeout
from tests.client.answers import Answers, redirect

Verb = Callable[..., Response]
BODILESS: list[Verb] = [Client.get, Client.options, Client.head, Client.delete]
WITH_BODY: list[Verb] = [Client.post, Client.put, Client.patch]
ARGUMENTS: dict[str, Any] = {
    "params": {"q": "1"},
    "headers": {"X-A": "1"},
    "cookies": {"c": "1"},
    "auth": ("u", "p"),
    "follow_redirects": True,
    "timeout": 3,
    "extensions": {"trace": print},
}


@pytest.mark.parametrize("verb", [*BODILESS, *WITH_BODY])
def test_a_verb_hands_on_what_it_was_told(verb: Verb) -> None:
    answers = Answers(redirect("/2", 307), Response(200))
    response = verb(Client(transport=answers), "http://a.example/1", **ARGUMENTS)
    sent = answers.requests[0]
    assert response.status_code == 200
    assert sent.method == verb.__name__.upper()
    assert str(sent.url) == "http://a.example/1?q=1"
    assert (sent.headers["x-a"], sent.headers["cookie"]) == ("1", "c=1")
    assert sent.headers["authorization"] == "Basic dTpw"
    assert sent.extensions["timeout"] == Timeout(3.0)
    assert sent.extensions["trace"] is print


@pytest.mark.parametrize("verb", WITH_BODY)
@pytest.mark.parametrize(
    ("body", "content"),
    [({"content": b"x"}, b"x"), ({"data": {"a": 1}}, b"a=1"), ({"json": [1]}, b"[1]")],
)
def test_these_verbs_take_a_body(verb: Verb, body: dict[str, Any], content: bytes) -> None:
    answers = Answers(Response(200))
    verb(Client(transport=answers), "http://a.example/", **body)
    assert answers.last.content == content


@pytest.mark.parametrize("verb", [*WITH_BODY, functools.partial(Client.request, method="POST")])
def test_these_verbs_take_files(verb: Verb) -> None:
    answers = Answers(Response(200))
    verb(Client(transport=answers), url="http://a.example/", data={"a": "1"}, files={"f": b"content"})
    assert answers.last.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"content" in answers.last.read()


@pytest.mark.parametrize("verb", BODILESS)
@pytest.mark.parametrize("name", ["content", "data", "files", "json"])
def test_these_verbs_take_none(verb: Verb, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        verb(Client(transport=Answers()), "http://a.example/", **{name: b"x"})


@pytest.mark.parametrize("body", [{"content": b"x"}, {"data": {"a": "1"}}, {"json": [1]}])
def test_any_method_takes_a_body_through_request(body: dict[str, Any]) -> None:
    answers = Answers(Response(200))
    Client(transport=answers).request("DELETE", "http://a.example/", **body)
    assert answers.last.method == "DELETE"
    assert answers.last.content != b""


def test_stream_hands_on_what_it_was_told() -> None:
    answers = Answers(redirect("/2", 307), Response(200))
    with Client(transport=answers).stream("PUT", "http://a.example/1", content=b"x", **ARGUMENTS) as response:
        assert response.status_code == 200
    assert answers.last.content == b"x"
    assert answers.last.headers["authorization"] == "Basic dTpw"
