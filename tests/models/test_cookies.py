"""Cookies: a mapping over a CookieJar, which meets requests and responses."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any

import pytest

from greenh2._errors import CookieConflict
from greenh2._models.cookies import MAX_COOKIES, MAX_OF_DOMAIN, MAX_SIZE, Cookies
from greenh2._models.headers import Headers
from greenh2._models.request import Request
from greenh2._models.response import Response


def answered(url: str, *set_cookie: str) -> Response:
    return Response(200, headers=[("Set-Cookie", line) for line in set_cookie], request=Request("GET", url))


def sent(cookies: Cookies, url: str) -> str | None:
    request = Request("GET", url)
    cookies.set_cookie_header(request)
    return request.headers.get("cookie")


@pytest.mark.parametrize("given", [{"a": "1"}, [("a", "1")], Cookies({"a": "1"})])
def test_cookies_are_made_from_many_things(given: Any) -> None:
    assert dict(Cookies(given)) == {"a": "1"}


def test_cookies_made_from_cookies_are_their_own() -> None:
    first = Cookies({"a": "1"})
    Cookies(first)["b"] = "2"
    assert dict(first) == {"a": "1"}


def test_a_jar_is_used_as_it_is() -> None:
    jar = CookieJar()
    Cookies(jar)["a"] = "1"
    assert [cookie.name for cookie in jar] == ["a"]


def test_a_cookie_can_be_set_read_and_removed() -> None:
    cookies = Cookies()
    cookies["a"] = "1"
    assert (cookies["a"], "a" in cookies, len(cookies), bool(cookies)) == ("1", True, 1, True)
    del cookies["a"]
    assert (cookies.get("a"), "a" in cookies, len(cookies), bool(cookies)) == (None, False, 0, False)


def test_a_missing_cookie_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="a"):
        Cookies()["a"]


def test_removing_a_missing_cookie_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="a"):
        del Cookies()["a"]


def test_a_missing_cookie_has_a_default() -> None:
    assert Cookies().get("a", "b") == "b"


def two_cookies() -> Cookies:
    cookies = Cookies()
    cookies.set("a", "2", domain="example.com", path="/sub")
    cookies.set("a", "1", domain="example.org")
    return cookies


def test_a_name_that_several_cookies_bear_is_a_conflict() -> None:
    with pytest.raises(CookieConflict, match="2 cookies are named 'a'"):
        two_cookies().get("a")


def test_a_conflict_is_resolved_by_domain_or_path() -> None:
    cookies = two_cookies()
    assert (cookies.get("a", domain="example.org"), cookies.get("a", path="/sub")) == ("1", "2")


def test_a_cookie_can_be_removed_at_one_domain() -> None:
    cookies = two_cookies()
    cookies.delete("a", domain="example.org")
    assert cookies["a"] == "2"


def test_deleting_a_name_removes_it_everywhere() -> None:
    cookies = two_cookies()
    del cookies["a"]
    assert len(cookies) == 0


def test_cookies_can_be_cleared() -> None:
    cookies = two_cookies()
    cookies.clear()
    assert len(cookies) == 0


def test_cookies_can_be_cleared_at_one_path() -> None:
    cookies = two_cookies()
    cookies.clear(domain="example.com", path="/sub")
    assert cookies["a"] == "1"


@pytest.mark.parametrize("more", [{"b": "2"}, [("b", "2")], Cookies({"b": "2"}), Cookies({"b": "2"}).jar])
def test_cookies_can_be_updated_from_many_things(more: Any) -> None:
    cookies = Cookies({"a": "1"})
    cookies.update(more)
    assert dict(cookies) == {"a": "1", "b": "2"}


def test_updating_from_nothing_changes_nothing() -> None:
    cookies = Cookies({"a": "1"})
    cookies.update()
    assert dict(cookies) == {"a": "1"}


def test_the_repr_shows_names_and_no_values() -> None:
    assert repr(two_cookies()) == "<Cookies[a for example.com/sub, a for example.org/]>"


def test_the_repr_of_a_cookie_for_everyone_says_so() -> None:
    assert repr(Cookies({"a": "1"})) == "<Cookies[a for */]>"


@pytest.mark.parametrize("given", [{}, {"a": "1"}])
def test_cookies_can_be_pickled(given: dict[str, str]) -> None:
    assert dict(pickle.loads(pickle.dumps(Cookies(given)))) == given


def test_a_response_s_cookies_go_back_to_its_host() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/a", "x=1; Path=/", "y=2; Path=/"))
    assert sent(cookies, "https://example.org/b") == "x=1; y=2"


def test_user_and_password_in_a_url_are_no_part_of_the_host_of_its_cookies() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("http://user:secret@a.example/", "a=1", "b=2; Domain=a.example"))
    assert "secret" not in repr(cookies)
    assert sent(cookies, "http://a.example/") == sent(cookies, "http://other:pass@a.example/") == "a=1; b=2"


def test_a_response_s_cookies_do_not_go_to_another_host() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1"))
    assert sent(cookies, "https://example.com/") is None


@pytest.mark.parametrize("host", ["example.org", "localhost", "127.0.0.1"])
def test_a_cookie_that_names_no_domain_goes_to_no_host_below(host: str) -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered(f"https://{host}/", "x=1"))
    assert sent(cookies, f"https://{host.upper()}:8443/") == "x=1"
    assert sent(cookies, f"https://below.{host}/") is None


def test_a_cookie_that_names_its_domain_goes_to_the_hosts_below() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1; Domain=example.org"))
    cookies.set("y", "2", domain="example.org")
    assert sent(cookies, "https://below.example.org/") == "x=1; y=2"


def test_a_secure_cookie_does_not_go_over_http() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1; Secure"))
    assert (sent(cookies, "http://example.org/"), sent(cookies, "https://example.org/")) == (None, "x=1")


@pytest.mark.parametrize("value", ["a\x01b", "a\x7f", "a\nb"])
def test_a_cookie_that_could_not_be_sent_is_not_taken(value: str) -> None:
    cookies = Cookies()
    response = answered("https://example.org/", "y=2")
    response.headers = Headers.from_raw([(b"Set-Cookie", b"y=2"), (b"Set-Cookie", b"x=" + value.encode())])
    cookies.extract_cookies(response)
    assert sent(cookies, "https://example.org/") == "y=2"


@pytest.mark.parametrize(
    ("setter", "domain", "other"),
    [
        ("127.0.0.1", ".0.0.1", "1.0.0.1"),
        ("127.0.0.1", "0.0.1", "1.0.0.1"),
        ("shop.example.co.uk", "co.uk", "bank.co.uk"),
    ],
)
def test_a_cookie_for_part_of_an_address_or_for_a_country_is_not_taken(
    setter: str, domain: str, other: str
) -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered(f"http://{setter}/", f"x=1; Domain={domain}"))
    assert (len(cookies), sent(cookies, f"http://{other}/")) == (0, None)


@pytest.mark.parametrize(
    ("url", "line", "taken"),
    [
        ("https://a.example/", "__Host-x=1; Secure; Path=/", True),
        ("https://a.example/", "__Host-x=1; Secure; Path=/; Domain=a.example", False),
        ("https://a.example/", "__Host-x=1; Secure; Path=/y", False),
        ("https://a.example/", "__Host-x=1; Path=/", False),
        ("http://a.example/", "__host-x=1; Secure; Path=/", False),
        ("https://b.a.example/", "__Secure-x=1; Secure; Domain=a.example", True),
        ("https://a.example/", "__Secure-x=1", False),
        ("http://a.example/", "__secure-x=1; Secure", False),
    ],
)
def test_a_cookie_whose_name_promises_what_is_not_so_is_not_taken(url: str, line: str, taken: bool) -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered(url, line))
    assert bool(cookies) is taken


def test_a_cookie_for_the_whole_address_is_taken() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("http://127.0.0.1/", "x=1; Domain=127.0.0.1"))
    assert sent(cookies, "http://127.0.0.1/a") == "x=1"


def test_a_cookie_for_one_path_does_not_go_to_another() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1; Path=/a"))
    assert (sent(cookies, "https://example.org/b"), sent(cookies, "https://example.org/a/c")) == (None, "x=1")


def test_a_cookie_for_another_host_is_not_taken() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1; Domain=example.com"))
    assert not cookies


def test_a_cookie_that_expires_is_removed() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("https://example.org/", "x=1"))
    cookies.extract_cookies(answered("https://example.org/", "x=; Max-Age=0"))
    assert not cookies


@pytest.mark.parametrize("url", ["http://[::1]:8080/", "http://münchen.de/", "http://localhost:5000/"])
def test_cookies_work_for_every_kind_of_host(url: str) -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered(url, "x=1"))
    assert sent(cookies, url) == "x=1"


def raw_answer(*set_cookie: bytes) -> Response:
    headers = [(b"Set-Cookie", line) for line in set_cookie]
    return Response(200, headers=headers, request=Request("GET", "https://example.org/"))


def raw_sent(cookies: Cookies) -> list[bytes]:
    request = Request("GET", "https://example.org/")
    cookies.set_cookie_header(request)
    return [value for name, value in request.headers.raw if name == b"Cookie"]


@pytest.mark.parametrize(
    ("lines", "read", "back"),
    [
        ([b"a=\xe9"], {"a": "é"}, b"a=\xe9"),
        ([b"a=\xc3\xa9"], {"a": "é"}, b"a=\xc3\xa9"),
        ([b"a=\xe9", b"b=\xc3\xa9; Path=/"], {"a": "é", "b": "é"}, b"a=\xe9; b=\xc3\xa9"),
        ([b"b=2", b"\xe9=1"], {"b": "2", "é": "1"}, b"b=2; \xe9=1"),
        ([b"\xe9"], {"é": ""}, b"\xe9"),
        ([b"a=\xe9", b"a=\xc3\xa9"], {"a": "é"}, b"a=\xc3\xa9"),
        ([b"a=\xe2\x82\xac; ISO-8859-1"], {"a": "€"}, b"a=\xe2\x82\xac"),
    ],
)
def test_a_cookie_goes_back_as_the_bytes_that_came(
    lines: list[bytes], read: dict[str, str], back: bytes
) -> None:
    cookies = Cookies()
    cookies.extract_cookies(raw_answer(*lines))
    assert dict(cookies) == read
    assert raw_sent(cookies) == raw_sent(pickle.loads(pickle.dumps(cookies))) == [back]


def test_a_cookie_that_is_set_in_the_place_of_one_from_a_server_is_sent_as_utf_8() -> None:
    cookies = Cookies()
    cookies.extract_cookies(raw_answer(b"a=\xe9"))
    cookies.set("a", "é", domain="example.org")
    assert raw_sent(cookies) == [b"a=\xc3\xa9"]


@pytest.mark.parametrize("arguments", [{"domain": None}, {"path": None}, {"domain": b"a.example"}])
def test_the_domain_and_the_path_of_a_cookie_are_text(arguments: Any) -> None:
    with pytest.raises(TypeError, match=f"The {next(iter(arguments))} of the cookie 'a' is str, not"):
        Cookies().set("a", "1", **arguments)


@pytest.mark.parametrize(("name", "value"), [("a", "\udcff"), ("\ud800", "1")])
def test_a_cookie_that_cannot_be_encoded_is_refused_when_it_is_set(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="holds a lone surrogate"):
        Cookies().set(name, value)


def test_no_name_is_the_name_of_no_cookie() -> None:
    cookies: Any = Cookies({"a": "1"})
    cookies.delete(None)
    assert (cookies.get(None), dict(cookies)) == (None, {"a": "1"})


def test_a_cookie_without_domain_goes_to_every_host() -> None:
    assert sent(Cookies({"a": "1"}), "https://example.org/") == "a=1"


def test_a_cookie_header_that_is_there_is_kept() -> None:
    request = Request("GET", "https://example.org/", headers={"Cookie": "mine=1"})
    Cookies({"a": "1"}).set_cookie_header(request)
    assert request.headers["cookie"] == "mine=1"


def test_the_host_of_a_relative_url_is_its_host_header() -> None:
    request = Request("GET", "/a", headers={"Host": "example.org"})
    cookies = Cookies()
    cookies.set("a", "1", domain="example.org")
    cookies.set("b", "2", domain="example.com")
    cookies.set_cookie_header(request)
    assert request.headers["cookie"] == "a=1"


def test_without_cookies_no_header_is_set() -> None:
    assert sent(Cookies(), "https://example.org/") is None


def test_a_response_that_sets_no_cookies_needs_no_request() -> None:
    cookies = Cookies()
    cookies.extract_cookies(Response(200))
    assert not cookies


def test_a_response_that_sets_cookies_needs_a_request() -> None:
    with pytest.raises(RuntimeError, match="no request"):
        Cookies().extract_cookies(Response(200, headers={"Set-Cookie": "a=1"}))


def test_a_jar_with_a_policy_of_rfc_2965_asks_for_headers_by_name() -> None:
    cookies = Cookies(CookieJar(DefaultCookiePolicy(rfc2965=True)))
    cookies.extract_cookies(answered("https://example.org/", "x=1"))
    assert sent(cookies, "https://example.org/") == "x=1"


def test_a_server_cannot_fill_the_jar() -> None:
    cookies = Cookies({"mine": "1"})
    for number in range(MAX_OF_DOMAIN + 5):
        cookies.extract_cookies(answered("http://a.example/", f"n{number}=1"))
    assert "mine" in cookies
    names = [cookie.name for cookie in cookies.jar if cookie.domain == "a.example"]
    assert len(names) == MAX_OF_DOMAIN
    if sys.version_info >= (3, 11):  # a jar keeps the order
        assert names == [f"n{number}" for number in range(5, MAX_OF_DOMAIN + 5)]


def test_many_servers_cannot_fill_the_jar() -> None:
    cookies = Cookies()
    lines = [f"n{number}=1" for number in range(MAX_OF_DOMAIN)]
    for number in range(MAX_COOKIES // MAX_OF_DOMAIN + 2):
        cookies.extract_cookies(answered(f"http://a{number}.example/", *lines))
    assert len(cookies) == MAX_COOKIES


def test_a_cookie_that_is_too_large_is_left_out() -> None:
    cookies = Cookies()
    cookies.extract_cookies(answered("http://a.example/", "a=" + "x" * MAX_SIZE, "b=" + "x" * (MAX_SIZE - 1)))
    assert list(cookies) == ["b"]


def test_of_a_flood_of_cookies_the_last_ones_are_looked_at() -> None:
    taken: list[str] = []

    class Counting(CookieJar):
        def set_cookie(self, cookie: Any) -> None:
            taken.append(cookie.name)
            super().set_cookie(cookie)

    cookies = Cookies(Counting())
    cookies.extract_cookies(answered("http://a.example/", *[f"n{number}=1" for number in range(900)]))
    assert taken == [f"n{number}" for number in range(900 - MAX_OF_DOMAIN, 900)]


class Watched(CookieJar):
    """A jar that notes whether another thread could change the cookies while one is removed, or they are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.could_look: list[bool] = []

    def __iter__(self) -> Iterator[Cookie]:
        for cookie in super().__iter__():
            self._let_look()
            yield cookie

    def clear(self, *which: Any) -> None:
        self._let_look()
        super().clear(*which)

    def _let_look(self) -> None:
        other = threading.Thread(target=self._look)
        other.start()
        other.join()

    def _look(self) -> None:
        lock = self._cookies_lock  # type: ignore[attr-defined]
        self.could_look.append(lock.acquire(blocking=False))
        if self.could_look[-1]:
            lock.release()


@pytest.mark.parametrize(
    "remove",
    [
        lambda cookies: cookies.delete("a"),
        lambda cookies: cookies.clear(),
        lambda cookies: cookies.extract_cookies(
            Response(200, headers={"set-cookie": "b=c"}, request=Request("GET", "http://a.example/"))
        ),
    ],
    ids=["delete", "clear", "trim"],
)
def test_cookies_are_removed_while_no_other_thread_looks_at_them(remove: Callable[[Cookies], None]) -> None:
    jar = Watched()
    cookies = Cookies(jar)
    cookies.set("a", "x" * MAX_SIZE)
    remove(cookies)
    assert "a" not in cookies
    assert set(jar.could_look) == {False}


@pytest.mark.parametrize(
    "look",
    [
        Cookies,
        list,
        len,
        bool,
        repr,
        lambda cookies: cookies.__getstate__(),
        lambda cookies: cookies.get("a"),
        lambda cookies: "a" in cookies,
        lambda cookies: sent(cookies, "http://a.example/"),
    ],
    ids=["copy", "list", "len", "bool", "repr", "pickle", "get", "in", "send"],
)
def test_cookies_are_looked_at_while_no_other_thread_changes_them(look: Callable[[Cookies], object]) -> None:
    jar = Watched()
    cookies = Cookies(jar)
    cookies.set("a", "1")
    assert look(cookies)
    assert set(jar.could_look) == {False}
