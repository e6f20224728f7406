"""A proxy: its URL, its credentials, and what is shown of them."""

import ssl
from typing import Any

import pytest

from greenh2 import URL, InvalidURL, LocalProtocolError, Proxy
from greenh2._models.proxy import proxy_of

BASIC = (b"Proxy-Authorization", b"Basic dXNlcjpwYXNz")


@pytest.mark.parametrize(
    ("url", "host", "port", "origin"),
    [
        ("http://proxy.example", "proxy.example", 80, "http://proxy.example:80"),
        ("https://proxy.example", "proxy.example", 443, "https://proxy.example:443"),
        ("socks5://proxy.example", "proxy.example", 1080, "socks5://proxy.example:1080"),
        ("socks5h://proxy.example:9", "proxy.example", 9, "socks5h://proxy.example:9"),
        ("http://[::1]:3128/", "::1", 3128, "http://[::1]:3128"),
        ("http://Bücher.example:1", "xn--bcher-kva.example", 1, "http://xn--bcher-kva.example:1"),
    ],
)
def test_where_it_is(url: str, host: str, port: int, origin: str) -> None:
    proxy = Proxy(url)
    assert (proxy.host, proxy.port, proxy.origin) == (host, port, origin)


@pytest.mark.parametrize(
    "proxy",
    [
        Proxy("http://user:pass@proxy.example"),
        Proxy("http://proxy.example", auth=("user", "pass")),
        Proxy("http://other:word@proxy.example", auth=("user", "pass")),
        Proxy(URL("http://proxy.example", username="user", password="pass")),
    ],
)
def test_credentials_become_a_header_and_leave_the_url(proxy: Proxy) -> None:
    assert proxy.auth == ("user", "pass")
    assert proxy.url == "http://proxy.example"
    assert proxy.fields == (BASIC,)


def test_credentials_in_a_url_are_percent_decoded() -> None:
    assert Proxy("http://us%40er:p%3Aw@proxy.example").auth == ("us@er", "p:w")


def test_headers_are_kept_apart_from_credentials() -> None:
    proxy = Proxy("http://user:pass@proxy.example", headers={"X-Team": "green"})
    assert proxy.headers == {"x-team": "green"}
    assert proxy.fields == (BASIC, (b"X-Team", b"green"))


def test_credentials_among_the_headers_hold() -> None:
    proxy = Proxy("http://user:pass@proxy.example", headers={"proxy-authorization": "Bearer 1"})
    assert proxy.fields == ((b"proxy-authorization", b"Bearer 1"),)


def test_credentials_for_socks_are_no_header() -> None:
    proxy = Proxy("socks5://user:pass@proxy.example")
    assert (proxy.auth, proxy.fields) == (("user", "pass"), ())


def test_proxies_that_say_the_same_are_equal() -> None:
    one, same = (Proxy("http://user:pass@proxy.example", headers={"a": "1"}) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != "http://user:pass@proxy.example"
    others = [
        Proxy("http://user:pass@proxy.example"),
        Proxy("http://user:word@proxy.example", headers={"a": "1"}),
        Proxy("http://proxy.example", headers={"a": "1"}),
        Proxy("http://user:pass@proxy.example:81", headers={"a": "1"}),
        Proxy("https://user:pass@proxy.example", headers={"a": "1"}),
    ]
    assert one not in others


def test_a_context_makes_a_proxy_of_its_own() -> None:
    first, second = (
        Proxy("https://p.example", ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) for _ in range(2)
    )
    assert first != second


def test_repr_shows_no_secret() -> None:
    shown = repr(Proxy("http://user:hidden-1@proxy.example", headers={"X-Key": "hidden-2"}))
    assert "hidden" not in shown
    assert "user" in shown
    assert "X-Key" in shown


@pytest.mark.parametrize(
    ("url", "settings", "error", "message"),
    [
        ("ftp://user:hidden@p.example", {}, ValueError, "scheme 'ftp': it is http, https, socks5 or socks5h"),
        ("p.example:80", {}, ValueError, "'p.example:80' has the scheme"),
        ("user:hidden@p.example:80", {}, ValueError, "'.secure.@p.example:80' has the scheme 'user'"),
        ("socks5://", {}, InvalidURL, "no host"),
        ("http://user:hidden@", {}, InvalidURL, "no host"),
        ("http://p.example", {"auth": ("user",)}, TypeError, "pair"),
        ("https://p.example", {"ssl_context": True}, TypeError, "ssl_context is an ssl.SSLContext, not True"),
        ("http://p.example", {"auth": "user:hidden"}, TypeError, "pair"),
        ("http://p.example", {"headers": {"a": "hidden\r\nb: 1"}}, LocalProtocolError, "line break"),
        ("http://p.example", {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, ValueError, "https"),
        ("socks5://p.example", {"headers": {"a": "1"}}, ValueError, "headers"),
        ("socks5://p.example", {"auth": ("user", "")}, ValueError, "1 to 255 bytes"),
        ("socks5://p.example", {"auth": ("u" * 256, "hidden")}, ValueError, "1 to 255 bytes"),
    ],
)
def test_what_could_never_work_is_refused_and_no_secret_shown(
    url: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        Proxy(url, **settings)
    assert "hidden" not in str(caught.value)


def test_the_argument_is_a_url_or_a_proxy() -> None:
    proxy = Proxy("http://p.example")
    assert proxy_of(proxy) is proxy
    assert proxy_of("http://p.example") == proxy_of(URL("http://p.example")) == proxy
    with pytest.raises(TypeError, match="not dict"):
        proxy_of({"http": "http://p.example"})  # type: ignore[arg-type]  # what is tested
