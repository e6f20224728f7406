"""FollowRedirects goes where browsers would go, and tells no secrets on the way."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from greenh2 import (
    BasicAuth,
    Cookies,
    RemoteProtocolError,
    Request,
    Response,
    StreamConsumed,
    TooManyRedirects,
    UnsupportedProtocol,
)
from greenh2._middleware.redirect import FollowRedirects, method_after, redirected
from tests.client.answers import Answers, Pieces, redirect


def follow(
    request: Request, *answers: Response | BaseException, max_redirects: int = 20
) -> tuple[Response, Answers]:
    transport = Answers(*answers)
    request.extensions["follow_redirects"] = True
    return FollowRedirects(transport, max_redirects=max_redirects)(request), transport


def after(request: Request, location: str, status: int = 302) -> Request:
    """The request that follows a redirect."""
    return redirected(request, redirect(location, status))


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (302, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_the_method_changes_as_in_browsers(status: int, method: str, expected: str) -> None:
    assert method_after(status, method) == expected


def test_a_response_that_does_not_redirect_is_returned() -> None:
    answer = Response(200)
    response, _ = follow(Request("GET", "http://a.example/"), answer)
    assert response is answer
    assert response.history == []


def test_a_304_is_no_redirect() -> None:
    response, _ = follow(Request("GET", "http://a.example/"), Response(304, headers={"location": "/b"}))
    assert response.status_code == 304


def test_a_redirect_without_a_location_is_returned() -> None:
    response, _ = follow(Request("GET", "http://a.example/"), Response(302))
    assert response.next_request is None


def test_redirects_are_followed_and_kept_in_order_as_history() -> None:
    first, second, third = redirect("/2"), redirect("/3"), Response(200)
    response, transport = follow(Request("GET", "http://a.example/1"), first, second, third)
    assert [str(request.url) for request in transport.requests] == [
        "http://a.example/1",
        "http://a.example/2",
        "http://a.example/3",
    ]
    assert response.history == [first, second]
    assert second.history == [first]


def test_responses_that_came_before_within_one_step_are_part_of_the_history() -> None:
    challenge = Response(401)
    moved = redirect("/2")
    moved.history = [challenge]
    response, _ = follow(Request("GET", "http://a.example/1"), moved, Response(200))
    assert response.history == [challenge, moved]


def test_the_body_of_a_redirect_is_read_and_closed_before_the_next_request() -> None:
    body = Pieces(b"moved", b" over there")
    response, _ = follow(Request("GET", "http://a.example/1"), redirect("/2", stream=body), Response(200))
    assert body.closed
    assert response.history[0].content == b"moved over there"


def test_no_more_than_64_kib_of_a_redirect_are_read() -> None:
    body = Pieces(*[b"x" * 30_000] * 100)
    follow(Request("GET", "http://a.example/1"), redirect("/2", stream=body), Response(200))
    assert body.given == 3
    assert body.closed


def test_a_redirect_whose_body_breaks_off_is_followed_all_the_same() -> None:
    body = Pieces(b"mov", RemoteProtocolError("broken off"))
    response, _ = follow(Request("GET", "http://a.example/1"), redirect("/2", stream=body), Response(200))
    assert response.status_code == 200
    assert body.closed


def test_a_redirect_that_was_closed_on_the_way_up_is_followed() -> None:
    moved = redirect("/2")
    moved.close()
    response, _ = follow(Request("GET", "http://a.example/1"), moved, Response(200))
    assert response.status_code == 200


def test_a_relative_location_is_resolved() -> None:
    assert str(after(Request("GET", "http://a.example/x/y?q=1"), "../z?r=2").url) == "http://a.example/z?r=2"


def test_a_location_without_a_scheme_keeps_the_scheme() -> None:
    assert str(after(Request("GET", "https://a.example/"), "//b.example/c").url) == "https://b.example/c"


def test_a_location_beyond_ascii_is_percent_encoded() -> None:
    assert after(Request("GET", "https://a.example/"), "/Z\u00fcrich 1").url.raw_path == b"/Z%C3%BCrich%201"


@pytest.mark.parametrize("location", [b"/Z\xc3\xbcrich", b"/Z\xfcrich"])
def test_a_location_is_understood_whatever_other_headers_are_encoded_in(location: bytes) -> None:
    response = Response(302, headers=[(b"X-Author", b"J\xe9r\xf4me"), (b"Location", location)])
    assert redirected(Request("GET", "https://a.example/"), response).url.raw_path == b"/Z%C3%BCrich"


def test_the_fragment_is_inherited() -> None:
    assert str(after(Request("GET", "http://a.example/1#part"), "/2").url) == "http://a.example/2#part"
    assert str(after(Request("GET", "http://a.example/1#50%2525"), "/2").url) == "http://a.example/2#50%2525"


def test_a_fragment_in_the_location_wins() -> None:
    assert str(after(Request("GET", "http://a.example/1#part"), "/2#other").url) == "http://a.example/2#other"


def test_a_location_that_is_no_url_is_the_servers_error() -> None:
    request = Request("GET", "http://a.example/")
    with pytest.raises(
        RemoteProtocolError, match=r"302 from http://a.example/ has a Location that is no URL"
    ) as caught:
        after(request, "https://:80/")
    assert caught.value.request is request


def test_a_location_to_another_scheme_is_not_followed() -> None:
    request = Request("GET", "http://a.example/")
    with pytest.raises(UnsupportedProtocol, match="ftp") as caught:
        after(request, "ftp://a.example/file")
    assert caught.value.request is request


def test_two_locations_that_differ_are_the_servers_error() -> None:
    response = Response(302, headers=[("Location", "/1"), ("Location", "/2")])
    with pytest.raises(RemoteProtocolError, match="several Location headers"):
        redirected(Request("GET", "http://a.example/"), response)


def test_the_same_location_twice_counts_once() -> None:
    response = Response(302, headers=[("Location", "/1"), ("Location", "/1")])
    assert redirected(Request("GET", "http://a.example/"), response).url == "http://a.example/1"


def test_as_many_redirects_as_allowed_are_followed() -> None:
    response, _ = follow(
        Request("GET", "http://a.example/"), redirect("/1"), redirect("/2"), Response(200), max_redirects=2
    )
    assert response.status_code == 200


def test_one_redirect_more_is_an_error_and_closes_the_response() -> None:
    body = Pieces(b"again")
    with pytest.raises(
        TooManyRedirects, match="one redirect more than the 1 that max_redirects allows"
    ) as caught:
        follow(
            Request("GET", "http://a.example/"),
            redirect("/1"),
            redirect("http://u:secret@a.example/2", stream=body),
            max_redirects=1,
        )
    assert body.closed
    assert caught.value.request.url == "http://a.example/1"


def test_without_following_the_response_tells_the_next_request() -> None:
    body = Pieces(b"moved")
    transport = Answers(redirect("/2", stream=body))
    response = FollowRedirects(transport, max_redirects=20)(Request("GET", "http://a.example/1"))
    assert response.next_request is not None
    assert response.next_request.url == "http://a.example/2"
    assert not body.closed


@pytest.mark.parametrize("location", ["https://:80/", "ftp://a.example/"])
def test_without_following_a_location_that_leads_nowhere_is_no_error(location: str) -> None:
    transport = Answers(redirect(location))
    response = FollowRedirects(transport, max_redirects=20)(Request("GET", "http://a.example/1"))
    assert response.next_request is None


def test_without_following_a_body_that_cannot_be_sent_again_is_no_error() -> None:
    request = Request("POST", "http://a.example/1", content=iter([b"x"]))
    response = FollowRedirects(Answers(redirect("/2", 307)), max_redirects=20)(request)
    assert response.next_request is None


def test_a_body_is_sent_again_after_307() -> None:
    request = after(Request("POST", "http://a.example/1", json={"a": 1}), "/2", 307)
    assert request.method == "POST"
    assert request.content == b'{"a":1}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "7"


def test_a_body_that_can_be_read_only_once_is_not_sent_again() -> None:
    body = Pieces()
    with pytest.raises(
        StreamConsumed, match=r"307 from http://a.example/1 wants the body again at http://a.example/2"
    ):
        follow(Request("POST", "http://a.example/1", content=iter([b"x"])), redirect("/2", 307, stream=body))
    assert body.closed


def test_a_body_is_dropped_with_its_headers_when_the_method_becomes_get() -> None:
    request = Request(
        "POST",
        "http://a.example/1",
        content=iter([b"x"]),
        headers={
            "Content-Type": "text/plain",
            "Content-Language": "en",
            "Expect": "100-continue",
            "X-Kept": "1",
        },
    )
    following = after(request, "/2", 303)
    assert following.content == b""
    assert following.headers.multi_items() == [("host", "a.example"), ("x-kept", "1")]


def test_a_generator_whose_body_is_dropped_is_closed() -> None:
    closed = []

    def body() -> Iterator[bytes]:
        try:
            while True:
                yield b"1"
        finally:
            closed.append(True)

    request = Request("POST", "http://a.example/1", content=body(), extensions={"follow_redirects": True})

    def transport(sent: Request) -> Response:
        next(iter(sent.body.chunks()), None)
        return answers(sent)

    answers = Answers(redirect("/2"), Response(200))
    FollowRedirects(transport, max_redirects=20)(request)
    assert closed == [True]


def test_the_first_request_is_left_as_it_was() -> None:
    request = Request("POST", "http://a.example/1", content=b"x", headers={"Authorization": "Bearer s"})
    after(request, "http://b.example/")
    assert (request.method, request.content, request.headers["authorization"]) == ("POST", b"x", "Bearer s")


SECRETS = {"Authorization": "Bearer s", "Proxy-Authorization": "Basic s", "Cookie": "s=1", "X-Kept": "1"}


def headers_after(url: str, location: str) -> list[str]:
    return [
        name
        for name in after(Request("GET", url, headers=SECRETS), location).headers
        if name in SECRETS_LOWER
    ]


SECRETS_LOWER = {name.lower() for name in SECRETS}


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://a.example/", "/other"),
        ("https://a.example/", "https://a.example:443/other"),
        ("http://a.example/", "https://a.example/"),
    ],
)
def test_credentials_stay_within_one_origin_and_its_upgrade_to_https(url: str, location: str) -> None:
    assert headers_after(url, location) == ["authorization", "proxy-authorization", "cookie", "x-kept"]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://a.example/", "https://b.example/"),
        ("https://a.example/", "https://sub.a.example/"),
        ("https://a.example/", "https://a.example:8443/"),
        ("https://a.example/", "http://a.example/"),
        ("http://a.example:8080/", "https://a.example/"),
        ("http://a.example/", "https://a.example:8443/"),
        ("http://a.example/", "https://b.example/"),
    ],
)
def test_credentials_are_dropped_on_the_way_to_another_origin(url: str, location: str) -> None:
    assert headers_after(url, location) == ["x-kept"]


def test_the_host_header_is_that_of_the_new_origin_and_first() -> None:
    request = after(
        Request("GET", "http://a.example/", headers={"Host": "by.hand", "X-A": "1"}), "http://b.example:81/"
    )
    assert request.headers.raw == [(b"Host", b"b.example:81"), (b"X-A", b"1")]


def test_a_host_header_written_by_hand_stays_within_the_origin() -> None:
    request = after(Request("GET", "http://a.example/", headers={"Host": "by.hand"}), "/2")
    assert request.headers["host"] == "by.hand"


def extensions_after(location: str) -> dict[str, object]:
    given = {
        "auth": BasicAuth("u", "p"),
        "cookies": Cookies({"a": "1"}),
        "sni_hostname": "x",
        "http1_only": True,
        "target": b"*",
        "trace": print,
    }
    return after(Request("GET", "http://a.example/", extensions=given), location).extensions


def test_what_was_meant_for_one_origin_does_not_go_to_another() -> None:
    assert extensions_after("http://b.example/") == {"auth": None, "trace": print}


def test_what_was_meant_for_one_origin_stays_within_it() -> None:
    assert extensions_after("/2").keys() == {"auth", "cookies", "sni_hostname", "http1_only", "trace"}


def test_user_and_password_in_a_location_are_used() -> None:
    assert after(Request("GET", "http://a.example/"), "http://u:p@b.example/").extensions[
        "auth"
    ] == BasicAuth("u", "p")


def test_user_and_password_in_a_location_win_over_those_before() -> None:
    request = Request("GET", "http://a.example/", extensions={"auth": BasicAuth("old", "old")})
    assert after(request, "http://u:p@a.example/").extensions["auth"] == BasicAuth("u", "p")


def test_a_chosen_auth_holds_while_the_url_keeps_its_user() -> None:
    request = Request("GET", "http://u:p@a.example/", extensions={"auth": BasicAuth("chosen", "one")})
    assert after(request, "/2").extensions["auth"] == BasicAuth("chosen", "one")


def test_the_password_is_not_shown_in_an_error() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        after(Request("GET", "http://u:secret@a.example/"), "https://v:secret@:80/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("interruption", [gevent.Timeout(), gevent.GreenletExit(), KeyboardInterrupt()])
def test_an_interruption_while_a_redirect_is_read_closes_it_and_passes(interruption: BaseException) -> None:
    body = Pieces(b"mo", interruption)
    with pytest.raises(type(interruption)) as caught:
        follow(Request("GET", "http://a.example/"), redirect("/2", stream=body))
    assert caught.value is interruption
    assert body.closed
