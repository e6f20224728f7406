"""RememberCookies keeps what servers set and sends it where it belongs."""

from __future__ import annotations

import gevent
import pytest

from greenh2 import Cookies, Request, Response
from greenh2._middleware.cookies import RememberCookies, beside, with_cookies
from tests.client.answers import Answers, Pieces


def test_a_request_without_any_cookie_is_sent_as_it_is() -> None:
    request = Request("GET", "http://a.example/")
    assert with_cookies(request, Cookies()) is request


def test_cookies_of_the_jar_are_sent_on_a_copy() -> None:
    request = Request("GET", "http://a.example/")
    sent = with_cookies(request, Cookies({"a": "1", "b": "2"}))
    assert sent.headers["cookie"] == "a=1; b=2"
    assert "cookie" not in request.headers


def test_cookies_of_other_hosts_are_not_sent() -> None:
    jar = Cookies()
    jar.set("a", "1", domain="b.example")
    assert "cookie" not in with_cookies(Request("GET", "http://a.example/"), jar).headers


def test_cookies_of_one_call_win_over_the_jar() -> None:
    request = Request("GET", "http://a.example/", extensions={"cookies": Cookies({"a": "once", "c": "3"})})
    jar = Cookies({"a": "1", "b": "2"})
    assert with_cookies(request, jar).headers["cookie"] == "a=once; b=2; c=3"
    assert jar["a"] == "1"


def test_cookies_of_one_call_win_over_those_that_the_server_has_set() -> None:
    jar = Cookies()
    jar.set("a", "server", domain="a.example")
    jar.set("a", "deeper", path="/x")
    jar.set("b", "server", domain="a.example")
    once = Cookies({"a": "once"})
    once.set("b", "elsewhere", domain="b.example")
    request = Request("GET", "http://a.example/x", extensions={"cookies": once})
    sent = with_cookies(request, jar).headers["cookie"]
    assert sorted(sent.split("; ")) == ["a=once", "b=server"]
    assert len(jar) == 3


def test_empty_cookies_of_one_call_change_nothing() -> None:
    request = Request("GET", "http://a.example/", extensions={"cookies": Cookies()})
    assert with_cookies(request, Cookies()) is request


def test_a_cookie_header_written_by_hand_goes_first_and_wins() -> None:
    request = Request("GET", "http://a.example/", headers={"Cookie": "a=hand; z=9"})
    assert with_cookies(request, Cookies({"a": "1", "b": "2"})).headers["cookie"] == "a=hand; z=9; b=2"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"Cookie", b"a=\xe9"), (b"X-A", b"1")], b"a=\xe9; b=2"),
        ([(b"Cookie", b"a=1"), (b"cookie", b"c=3")], b"a=1; c=3; b=2"),
    ],
)
def test_cookie_headers_written_by_hand_stay_the_bytes_that_they_were(
    headers: list[tuple[bytes, bytes]], expected: bytes
) -> None:
    request = Request("GET", "http://a.example/", headers=headers)
    sent = with_cookies(request, Cookies({"b": "2"}))
    assert [value for name, value in sent.headers.raw if name == b"Cookie"] == [expected]


@pytest.mark.parametrize(
    ("by_hand", "stored", "expected"),
    [
        (b"a=1", b"", b"a=1"),
        (b"a=1", b"a=2", b"a=1"),
        (b"a=1;b=2", b"b=3; c=4", b"a=1;b=2; c=4"),
        (b"x", b"y=1", b"x; y=1"),
    ],
)
def test_stored_cookies_stand_beside_those_written_by_hand(
    by_hand: bytes, stored: bytes, expected: bytes
) -> None:
    assert beside(by_hand, stored) == expected


def test_cookies_of_a_response_are_kept_for_the_next_request() -> None:
    jar = Cookies()
    answers = Answers(Response(200, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]), Response(200))

    def transport(request: Request) -> Response:
        response = answers(request)
        response.request = request
        return response

    remember = RememberCookies(transport, jar=lambda: jar)
    remember(Request("GET", "http://a.example/"))
    remember(Request("GET", "http://a.example/"))
    assert dict(jar) == {"a": "1", "b": "2"}
    assert answers.last.headers["cookie"] == "a=1; b=2"


def test_a_response_is_closed_when_its_cookies_cannot_be_kept() -> None:
    class Broken(Cookies):
        def extract_cookies(self, response: Response) -> None:
            raise gevent.Timeout

    body = Pieces()
    answer = Response(200, headers={"Set-Cookie": "a=1"}, stream=body)
    with pytest.raises(gevent.Timeout):
        RememberCookies(Answers(answer), jar=Broken)(Request("GET", "http://a.example/"))
    assert body.closed
