"""Route: which requests share connections, and what TLS is asked to verify."""

from __future__ import annotations

import pytest

from greenh2._errors import InvalidURL, UnsupportedProtocol
from greenh2._models.proxy import Proxy
from greenh2._models.route import Route
from greenh2._models.url import URL


def test_an_https_route_has_port_443_and_verifies_its_host() -> None:
    assert Route.of(URL("https://example.org/a")) == Route("https", "example.org", 443, "example.org")


def test_an_http_route_has_port_80_and_nothing_to_verify() -> None:
    assert Route.of(URL("http://example.org/a")) == Route("http", "example.org", 80, None)


def test_a_port_in_the_url_is_the_route_s() -> None:
    assert Route.of(URL("https://example.org:8443/")).port == 8443


def test_an_international_host_is_resolved_by_its_ascii_form() -> None:
    assert Route.of(URL("https://münchen.de/")).host == "xn--mnchen-3ya.de"


def test_an_ipv6_host_has_no_brackets() -> None:
    assert Route.of(URL("https://[2001:DB8::1]/")).host == "2001:db8::1"


def test_a_trailing_dot_is_resolved_and_not_verified() -> None:
    route = Route.of(URL("https://example.org./"))
    assert (route.host, route.server_hostname) == ("example.org.", "example.org")


@pytest.mark.parametrize("name", ["other.org", b"other.org"])
def test_a_request_may_name_another_host_for_tls(name: object) -> None:
    assert Route.of(URL("https://example.org/"), {"sni_hostname": name}).server_hostname == "other.org"


def test_another_host_for_tls_makes_another_route() -> None:
    url = URL("https://example.org/")
    assert Route.of(url, {"sni_hostname": "other.org"}) != Route.of(url, {})


def test_a_host_for_tls_means_nothing_to_http() -> None:
    url = URL("http://example.org/")
    assert Route.of(url, {"sni_hostname": "other.org"}) == Route.of(url)


def test_a_host_for_tls_is_a_string() -> None:
    with pytest.raises(TypeError, match="sni_hostname"):
        Route.of(URL("https://example.org/"), {"sni_hostname": 5})


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(UnsupportedProtocol, match="'ftp'"):
        Route.of(URL("ftp://example.org/"))


def test_a_relative_url_is_refused() -> None:
    with pytest.raises(UnsupportedProtocol, match="no scheme"):
        Route.of(URL("/path"))


def test_a_url_without_host_is_refused() -> None:
    class Hostless:
        scheme, raw_host, port = "https", b"", None

    with pytest.raises(InvalidURL, match="no host"):
        Route.of(Hostless())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.org:443/a?b", "https://example.org"),
        ("http://example.org:8080", "http://example.org:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_origin_of_a_route_is_its_url_without_path(url: str, origin: str) -> None:
    assert Route.of(URL(url)).origin == origin


def test_a_route_shows_as_its_origin() -> None:
    assert str(Route("https", "example.org", 443)) == "https://example.org"


def test_only_https_is_secure() -> None:
    assert (Route("https", "h", 443).secure, Route("http", "h", 80).secure) == (True, False)


def test_equal_routes_are_one_key() -> None:
    assert len({Route.of(URL("https://a/1")), Route.of(URL("https://A:443/2"))}) == 1


def test_a_tunnel_is_a_route_of_its_own_for_each_proxy() -> None:
    direct = Route.of(URL("https://example.org"))
    one, other = (direct.through(Proxy(f"http://{name}.example"), forward=False) for name in "ab")
    assert len({direct, one, other}) == 3
    assert one == direct.through(Proxy("http://a.example"), forward=False)
    assert (one.origin, str(one)) == (
        "https://example.org",
        "https://example.org through http://a.example:80",
    )


def test_where_the_proxy_forwards_all_http_origins_share_a_route() -> None:
    proxy = Proxy("https://p.example.:8443")
    one, other = (Route.of(URL(f"http://{name}.example")).through(proxy, forward=True) for name in "ab")
    assert one == other
    assert (one.host, one.port, one.server_hostname, one.http1_only) == (
        "p.example.",
        8443,
        "p.example",
        True,
    )
    assert one != Route.of(URL("https://p.example.:8443"))


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.org", "example.org:443"),
        ("http://[::1]:81", "[::1]:81"),
        ("http://[fe80::1%25eth0]", "[fe80::1]:80"),
    ],
)
def test_a_tunnel_is_asked_for_by_host_and_port(url: str, authority: str) -> None:
    assert Route.of(URL(url)).authority == authority
