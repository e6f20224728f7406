"""Where a client sends its requests: proxies by argument and by environment, and mounted transports."""

from collections.abc import Callable
from typing import Any

import pytest

import greenh2
from greenh2 import (
    URL,
    BaseTransport,
    Client,
    HTTPTransport,
    InvalidURL,
    MockTransport,
    Proxy,
    Request,
    Response,
)
from greenh2._middleware.handler import Handler
from greenh2._models.proxy import proxy_of
from tests.client.answers import Answers, redirect

P, Q = "http://p.example:1", "http://q.example:2"


def proxy_for(client: Client, url: str) -> str | None:
    """Return the proxy that a client's own transport would use."""
    transport = client._transport
    assert isinstance(transport, HTTPTransport)
    choose = transport._proxy_of
    proxy = None if choose is None else choose(URL(url))
    return None if proxy is None else proxy_of(proxy).origin


# -- by argument -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxy", [P, URL(P), Proxy(P)])
@pytest.mark.parametrize("url", ["http://a.example", "https://a.example"])
def test_a_proxy_is_for_every_request(proxy: Any, url: str) -> None:
    assert proxy_for(Client(proxy=proxy), url) == P


def test_without_any_a_client_has_no_choice_to_make() -> None:
    client = Client()
    assert isinstance(client._transport, HTTPTransport)
    assert client._transport._proxy_of is None


@pytest.mark.parametrize(
    ("proxy", "error"),
    [("ftp://p.example", ValueError), ("http://", InvalidURL), ({"http://": P}, TypeError), (b"", TypeError)],
)
def test_what_is_no_proxy_is_refused_at_once(proxy: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Client(proxy=proxy)


def test_a_proxy_beside_a_transport_is_refused() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Client(proxy=P, transport=Answers())


# -- by environment ----------------------------------------------------------------------------------------------


def test_the_environment_is_heeded_unless_it_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", P)
    monkeypatch.setenv("no_proxy", "b.example")
    assert proxy_for(Client(), "https://a.example") == P
    assert proxy_for(Client(), "https://b.example") is None
    assert proxy_for(Client(), "http://a.example") is None
    assert proxy_for(Client(trust_env=False), "https://a.example") is None


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_each_variable_is_looked_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, P)
    assert proxy_for(Client(), "http://a.example") == P


def test_the_environment_is_read_when_the_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Client()
    monkeypatch.setenv("ALL_PROXY", P)
    client = Client()
    monkeypatch.delenv("ALL_PROXY")
    assert proxy_for(before, "http://a.example") is None
    assert proxy_for(client, "http://a.example") == P


def test_an_argument_holds_in_place_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", P)
    monkeypatch.setenv("NO_PROXY", "*")
    assert proxy_for(Client(proxy=Q), "http://a.example") == Q


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://p.example")
    with pytest.raises(ValueError, match="the environment variable HTTPS_PROXY "):
        Client()
    with pytest.raises(ValueError, match="the environment variable HTTPS_PROXY "):
        greenh2.get("http://a.example")


def test_a_transport_is_not_told_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", P)
    assert proxy_for(Client(transport=HTTPTransport()), "http://a.example") is None
    assert Client(transport=Answers(Response(200))).get("http://a.example").status_code == 200


# -- mounts ------------------------------------------------------------------------------------------------------


def named(name: str) -> Callable[[Request], Response]:
    return lambda request: Response(200, text=name)


def test_the_most_telling_pattern_decides_for_each_request() -> None:
    mounts: dict[str, BaseTransport | Handler | None] = {
        "all://": MockTransport(named("all")),
        "https://": named("https"),
        "all://*.example:8080": named("port"),
    }
    client = Client(transport=named("own"), mounts=mounts)
    urls = ["http://a.example", "https://a.example", "https://a.example:8080"]
    assert [client.get(url).text for url in urls] == ["all", "https", "port"]


def test_what_is_mounted_nowhere_or_at_none_is_the_client_s_own() -> None:
    mounts = {"https://": named("https"), "https://a.example": None}
    client = Client(transport=named("own"), mounts=mounts)
    urls = ["http://b.example", "https://b.example", "https://a.example"]
    assert [client.get(url).text for url in urls] == ["own", "https", "own"]


def test_each_redirect_is_mounted_anew() -> None:
    first = Answers(redirect("https://b.example/"))
    client = Client(transport=first, mounts={"https://": named("https")}, follow_redirects=True)
    assert client.get("http://a.example/").text == "https"


def test_mounts_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(TypeError, match="by patterns of URLs, not list"):
        Client(transport=named("own"), mounts=[named("https")])  # type: ignore[arg-type]  # what is tested


def test_none_means_by_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {"all://a.example": None}
    assert proxy_for(Client(proxy=P, mounts=mounts), "http://a.example") is None
    assert proxy_for(Client(proxy=P, mounts=mounts), "http://b.example") == P
    assert proxy_for(Client(proxy=P, mounts={"all://": None}), "http://b.example") is None
    monkeypatch.setenv("ALL_PROXY", Q)
    assert proxy_for(Client(mounts=mounts), "http://a.example") is None
    assert proxy_for(Client(mounts=mounts), "http://b.example") == Q


def test_a_scheme_of_its_own_is_requested_where_it_is_mounted() -> None:
    client = Client(transport=named("own"), mounts={"file://": named("file"), "all://": named("all")})
    assert client.get("file:///etc/hostname").text == "file"
    assert client.get("file://a.example/").text == "file"
    assert client.get("http://a.example/").text == "all"
    for url in ("ftp://a.example/", "/path"):
        with pytest.raises(greenh2.UnsupportedProtocol):
            client.get(url)


def test_no_redirect_leads_to_a_scheme_of_its_own() -> None:
    first = Answers(redirect("file:///etc/passwd"))
    client = Client(transport=first, mounts={"file://": named("secret")})
    with pytest.raises(greenh2.UnsupportedProtocol, match="file"):
        client.get("http://a.example/", follow_redirects=True)


class Closable(BaseTransport):
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_client_closes_what_is_mounted() -> None:
    mounted, own = Closable(), Closable()
    with Client(transport=own, mounts={"http://": mounted, "https://": named("https"), "all://": None}):
        pass
    assert (own.closed, mounted.closed) == (1, 1)


def test_one_that_is_mounted_twice_may_be_closed_twice() -> None:
    mounted = HTTPTransport()
    with Client(mounts={"http://": mounted, "https://": mounted}):
        pass
    with pytest.raises(greenh2.CloseError):
        mounted.handle_request(Request("GET", "http://a.example"))


@pytest.mark.parametrize(
    ("mounts", "error", "message"),
    [
        ({"http": named("x")}, ValueError, "cannot be a key of mounts"),
        ({"http://": "http://p.example"}, TypeError, "a BaseTransport or a function"),
    ],
)
def test_what_can_be_no_mount_is_refused_at_once(mounts: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Client(mounts=mounts)
