"""The environment's variables for proxies."""

import pytest

from greenh2 import URL
from greenh2._models.environment import NoProxy, environment_proxies

P, Q, R = "http://p.example:1", "http://q.example:2", "http://r.example:3"


def proxy_for(url: str, **environment: str) -> str | None:
    choose = environment_proxies(environment)
    proxy = None if choose is None else choose(URL(url))
    return None if proxy is None else proxy.origin


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://a.example", {}, None),
        ("http://a.example", {"HTTP_PROXY": P}, P),
        ("https://a.example", {"HTTP_PROXY": P}, None),
        ("https://a.example", {"HTTPS_PROXY": P}, P),
        ("http://a.example", {"HTTPS_PROXY": P}, None),
        ("http://a.example", {"ALL_PROXY": P}, P),
        ("https://a.example", {"ALL_PROXY": P, "HTTP_PROXY": Q}, P),
        ("http://a.example", {"ALL_PROXY": P, "HTTP_PROXY": Q}, Q),
        ("http://a.example", {"HTTP_PROXY": P, "http_proxy": Q}, Q),
        ("https://a.example", {"all_proxy": Q, "ALL_PROXY": P}, Q),
        ("http://a.example", {"HTTP_PROXY": P, "http_proxy": ""}, None),
        ("http://a.example", {"HTTP_PROXY": ""}, None),
        ("http://a.example", {"HTTP_PROXY": "p.example:1"}, P),
        ("http://a.example", {"HTTP_PROXY": " http://p.example:1 "}, P),
        ("http://a.example", {"ALL_PROXY": "socks5h://p.example"}, "socks5h://p.example:1080"),
        ("http://a.example", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://a.example", {"http_proxy": P, "REQUEST_METHOD": "GET"}, P),
        ("https://a.example", {"HTTPS_PROXY": P, "REQUEST_METHOD": "GET"}, P),
        ("http://a.example", {"HTTP_PROXY": P, "NO_PROXY": "a.example"}, None),
        ("http://a.example", {"HTTP_PROXY": P, "no_proxy": "a.example", "NO_PROXY": ""}, None),
        ("http://a.example", {"HTTP_PROXY": P, "no_proxy": "", "NO_PROXY": "a.example"}, P),
        ("http://a.example", {"NO_PROXY": "a.example"}, None),
    ],
)
def test_which_variable_holds(url: str, environment: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, **environment) == proxy


def test_without_a_proxy_there_is_nothing_to_ask() -> None:
    assert environment_proxies({"NO_PROXY": "*", "HTTP_PROXY": " "}) is None


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["ftp://user:hidden@p.example", "http://user:hidden@p.example:x", "http://"]
)
def test_what_is_no_proxy_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"the environment variable {name} ") as caught:
        environment_proxies({name: value})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "url", "covered"),
    [
        ("", "http://a.example", False),
        ("*", "http://a.example", True),
        ("x.example, *", "http://[::1]", True),
        ("a.example", "http://a.example", True),
        ("A.Example", "http://a.EXAMPLE", True),
        ("a.example", "http://a.example.", True),
        ("a.example.", "http://a.example", True),
        ("a.example", "http://b.a.example", True),
        (".a.example", "http://b.a.example", True),
        (".a.example", "http://a.example", True),
        ("*.a.example", "http://b.a.example", True),
        ("a.example", "http://ba.example", False),
        ("a.example", "http://a.example.org", False),
        ("b.a.example", "http://a.example", False),
        ("x.example,a.example", "http://a.example", True),
        ("x.example, a.example", "http://a.example", True),
        ("x.example a.example", "http://a.example", True),
        (",,", "http://a.example", False),
        (".", "http://a.example", False),
        ("localhost", "http://localhost:8080", True),
        # ports
        ("a.example:8080", "http://a.example:8080", True),
        ("a.example:8080", "http://a.example", False),
        ("a.example:80", "http://a.example", True),
        ("a.example:443", "https://a.example", True),
        ("a.example:443", "http://a.example", False),
        (".a.example:8080", "http://b.a.example:8080", True),
        ("*:8080", "http://a.example:8080", True),
        ("*:8080", "http://a.example:8081", False),
        # schemes
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "http://a.example", False),
        ("https://127.0.0.1", "http://127.0.0.1", False),
        # addresses
        ("127.0.0.1", "http://127.0.0.1", True),
        ("127.0.0.1", "http://127.0.0.2", False),
        ("127.0.0.1:81", "http://127.0.0.1:81", True),
        ("127.0.0.1:81", "http://127.0.0.1", False),
        ("0.0.1", "http://127.0.0.1", False),
        (".0.0.1", "http://127.0.0.1", False),
        ("1.1.1.1", "http://1.1.1.1.example", False),
        ("10.0.0.0/8", "http://10.9.8.7", True),
        ("10.0.0.1/8", "http://10.9.8.7", True),
        ("10.0.0.0/8", "http://11.0.0.0", False),
        ("10.0.0.0/8:81", "http://10.9.8.7:81", True),
        ("10.0.0.0/8", "http://ten.example", False),
        ("10.0.0.0/33", "http://10.0.0.0", False),
        ("0.0.0.0/0", "http://[::1]", False),
        ("::1", "http://[::1]", True),
        ("[::1]", "http://[::1]", True),
        ("0:0:0:0:0:0:0:1", "http://[::1]", True),
        ("::1", "http://[::2]", False),
        ("[::1]:81", "http://[::1]:81", True),
        ("[::1]:81", "http://[::1]", False),
        ("fd00::/8", "http://[fd12::1]", True),
        ("[fd00::]/8", "http://[fd12::1]", True),
        ("[fd00::/8]", "http://[fd12::1]", True),
        ("fd00::/8", "http://[fe80::1]", False),
        ("::/0", "http://127.0.0.1", False),
        ("a.example:²", "http://a.example", False),
        ("fe80::1", "http://[fe80::1%25eth0]", True),
    ],
)
def test_no_proxy(entries: str, url: str, covered: bool) -> None:
    assert NoProxy(entries).covers(URL(url)) is covered
