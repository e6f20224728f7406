"""The functions for a single request make a Client for it, and close it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import greenh2
from greenh2 import Client, Response, Timeout
from tests.client.answers import Answers, Pieces, redirect

Function = Callable[..., Response]
BODILESS: list[Function] = [greenh2.get, greenh2.options, greenh2.head, greenh2.delete]
WITH_BODY: list[Function] = [greenh2.post, greenh2.put, greenh2.patch]
ARGUMENTS: dict[str, Any] = {
    "params": {"q": "1"},
    "headers": {"X-A": "1"},
    "cookies": {"c": "1"},
    "auth": ("u", "p"),
    "follow_redirects": True,
    "timeout": 3,
}


class Clients:
    """Stands for the class Client in greenh2._api: makes clients over prepared answers, and keeps them."""

    def __init__(self, *answers: Response) -> None:
        self.transport = Answers(*answers)
        self.settings: dict[str, Any] = {}
        self.made: list[Client] = []

    def __call__(self, **settings: Any) -> Client:
        self.settings = settings
        own = {name: value for name, value in settings.items() if name != "proxy"}  # not beside a transport
        self.made.append(Client(transport=self.transport, **own))
        return self.made[-1]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    stand_in = Clients(redirect("/2", 307), Response(200, stream=Pieces(b"done")))
    monkeypatch.setattr("greenh2._api.Client", stand_in)
    return stand_in


@pytest.mark.parametrize("function", [*BODILESS, *WITH_BODY])
def test_a_function_hands_on_what_it_was_told(clients: Clients, function: Function) -> None:
    response = function("http://a.example/1", **ARGUMENTS)
    sent = clients.transport.requests[0]
    assert response.content == b"done"
    assert sent.method == function.__name__.upper()
    assert str(sent.url) == "http://a.example/1?q=1"
    assert (sent.headers["x-a"], sent.headers["cookie"]) == ("1", "c=1")
    assert sent.headers["authorization"] == "Basic dTpw"
    assert sent.extensions["timeout"] == Timeout(3.0)


@pytest.mark.parametrize("function", [*BODILESS, *WITH_BODY])
def test_a_function_closes_its_client(clients: Clients, function: Function) -> None:
    function("http://a.example/1", follow_redirects=True)
    assert [client.is_closed for client in clients.made] == [True]


@pytest.mark.parametrize("function", [*BODILESS, *WITH_BODY])
def test_tls_proxy_and_environment_are_up_to_the_client(clients: Clients, function: Function) -> None:
    function("http://a.example/1", verify=False, trust_env=False, proxy="http://p.example:3128")
    assert clients.settings == {"verify": False, "trust_env": False, "proxy": "http://p.example:3128"}


@pytest.mark.parametrize("function", WITH_BODY)
@pytest.mark.parametrize(
    ("body", "content"), [({"content": b"x"}, b"x"), ({"data": {"a": 1}}, b"a=1"), ({"json": [1]}, b"[1]")]
)
def test_these_functions_take_a_body(
    clients: Clients, function: Function, body: dict[str, Any], content: bytes
) -> None:
    function("http://a.example/1", **body)
    assert clients.transport.last.content == content


@pytest.mark.parametrize("function", WITH_BODY)
def test_these_functions_take_files(clients: Clients, function: Function) -> None:
    function("http://a.example/1", files={"f": ("name.txt", b"content")})
    assert b'filename="name.txt"' in clients.transport.last.read()


@pytest.mark.parametrize("function", BODILESS)
def test_these_functions_take_none(function: Function) -> None:
    with pytest.raises(TypeError, match="content"):
        function("http://a.example/1", content=b"x")


def test_redirects_are_not_followed_by_default(clients: Clients) -> None:
    assert greenh2.get("http://a.example/1").status_code == 307


def test_request_takes_any_method_and_a_body(clients: Clients) -> None:
    response = greenh2.request("DELETE", "http://a.example/1", json=[1], **ARGUMENTS)
    assert response.content == b"done"
    assert clients.transport.last.content == b"[1]"


def test_stream_gives_the_response_before_its_body_and_closes_all(clients: Clients) -> None:
    with greenh2.stream("GET", "http://a.example/1", **ARGUMENTS) as response:
        assert list(response.iter_bytes()) == [b"done"]
        assert not clients.made[0].is_closed
    assert clients.made[0].is_closed


def test_without_a_stand_in_the_real_client_refuses_what_it_refuses() -> None:
    with pytest.raises(greenh2.UnsupportedProtocol):
        greenh2.get("ftp://a.example/")
