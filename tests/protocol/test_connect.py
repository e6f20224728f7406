"""CONNECT: what is sent, and what is made of replies in whatever pieces they come."""

import pytest

from greenh2._errors import ProxyError
from greenh2._models.proxy import Proxy
from greenh2._protocol.connect import MAX_REPLY, Connect

PROXY = Proxy("http://user:hidden@proxy.example:3128", headers={"X-Team": "green"})
BARE = Proxy("http://proxy.example:3128")


def replied(*pieces: bytes, proxy: Proxy = PROXY) -> Connect:
    """Feed the pieces, the last of which opens the tunnel."""
    talk = Connect(proxy, "a.example:443")
    *first, last = pieces
    assert [talk.receive(piece) for piece in first] == [False] * len(first)
    assert talk.receive(last)
    return talk


def refused(*pieces: bytes, proxy: Proxy = PROXY) -> str:
    """Feed the pieces, the last of which is refused; return the error's message."""
    talk = Connect(proxy, "a.example:443")
    *first, last = pieces
    assert [talk.receive(piece) for piece in first] == [False] * len(first)
    with pytest.raises(ProxyError) as caught:
        talk.receive(last)
    assert "hidden" not in str(caught.value)
    return str(caught.value)


def test_the_request_names_the_target_and_holds_what_is_for_the_proxy() -> None:
    talk = Connect(PROXY, "a.example:443")
    assert talk.outgoing() == (
        b"CONNECT a.example:443 HTTP/1.1\r\n"
        b"Host: a.example:443\r\n"
        b"Proxy-Authorization: Basic dXNlcjpoaWRkZW4=\r\n"
        b"X-Team: green\r\n\r\n"
    )
    assert talk.outgoing() == b""


def test_a_host_among_the_headers_of_the_proxy_is_the_only_one() -> None:
    sent = Connect(Proxy("http://p.example", headers={"host": "other"}), "a.example:443").outgoing()
    assert sent.lower().count(b"host:") == 1


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("status", [b"200 OK", b"200 Connection established", b"204 ", b"299"])
def test_a_2xx_opens_the_tunnel(version: bytes, status: bytes) -> None:
    assert replied(b"HTTP/%b %b\r\nServer: x\r\n\r\n" % (version, status)).rest == b""


def test_every_byte_may_come_alone() -> None:
    reply = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    replied(*(bytes([byte]) for byte in reply))


def test_what_comes_behind_the_head_belongs_to_the_tunnel() -> None:
    assert replied(b"HTTP/1.1 200 OK\r\n\r\nfirst words").rest == b"first words"


def test_a_length_in_the_head_of_a_2xx_means_nothing() -> None:
    # RFC 9110 section 9.3.6.
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nwords"
    assert replied(reply).rest == b"words"


def test_a_refusal_names_proxy_target_and_status_and_begins_to_tell_the_reason() -> None:
    reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\n"
    message = refused(reply, b"<h1>No way</h1>\r\n", b"to that\x07 port, dear.   ")
    assert message == (
        "the proxy http://proxy.example:3128 opens no tunnel to a.example:443: 403 Forbidden "
        "(No way to that port, dear.)"
    )


@pytest.mark.parametrize("end", [b"", b"Content-Length: 0\r\n"])
def test_a_refusal_without_a_body_is_one_too(end: bytes) -> None:
    pieces = [b"HTTP/1.1 502 \r\n" + end + b"\r\n"]
    assert refused(*(pieces if end else [*pieces, b""])).endswith("a.example:443: 502")


def test_a_refusal_is_known_before_its_body_has_come() -> None:
    talk = Connect(PROXY, "a.example:443")
    assert not talk.receive(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\n")
    assert "403 Forbidden" in str(talk.refusal)


def test_a_refusal_cut_off_is_a_refusal() -> None:
    assert "(some)" in refused(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\nsome", b"")


def test_of_a_large_body_little_is_read_and_less_is_told() -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000000\r\n\r\n"
    message = refused(head, b"word " * 400)
    assert message.endswith("word ...)")
    assert len(message) < 320


@pytest.mark.parametrize("status", [401, 407])
def test_a_proxy_that_wants_credentials_is_told_of_with_advice(status: int) -> None:
    reply = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    assert "Proxy(url, auth=(user, password))" in refused(reply, proxy=BARE)
    assert "does not accept the user name and password" in refused(reply)


@pytest.mark.parametrize("shown", [b"dXNlcjpoaWRkZW4=", b"user:hidden", b"Basic dXNlcjpoaWRkZW4=", b"hidden"])
def test_a_proxy_that_repeats_the_credentials_is_not_repeated(shown: bytes) -> None:
    body = b"You said: " + shown
    message = refused(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert "You said: " in message
    assert "[secure]" in message
    assert "dXNlcjpoaWRkZW4" not in message


def test_a_secret_cut_in_two_is_not_repeated_either() -> None:
    body = b"<!--" + b"x" * 998 + b"-->begin dXNlcjpoaWRkZW4="
    message = refused(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert "dXN" not in message


def test_headers_for_the_proxy_are_not_repeated_and_harmless_words_are() -> None:
    proxy = Proxy("http://p.example", headers={"X-Key": "hidden-key", "X-Team": "green", "X-None": ""})
    body = b"hidden-key green"
    message = refused(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body, proxy=proxy)
    assert "([secure] green)" in message


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"\x05\x00\r\n\r\n",
    ],
)
def test_what_is_no_http_is_an_error(reply: bytes) -> None:
    assert "is no HTTP/1.1" in refused(reply + b"\r\n\r\n")


@pytest.mark.parametrize("pieces", [[b""], [b"HTTP/1.1 200 OK\r\n", b""], [b"HTTP/1.1 100 \r\n\r\n", b""]])
def test_an_end_before_the_answer_is_an_error(pieces: list[bytes]) -> None:
    assert "ended the connection before it answered CONNECT" in refused(*pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nA: ", b"a" * (MAX_REPLY + 1)],
        [b"HTTP/1.1 200 OK\r\nA: " + b"a" * (MAX_REPLY + 1) + b"\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1001 + b"\r\n"],
        [b"HTTP/1.1 100 \r\n\r\n" * 51],
    ],
    ids=["without end", "at once", "lines", "interim"],
)
def test_a_head_without_measure_is_an_error(pieces: list[bytes]) -> None:
    assert "is no HTTP/1.1" in refused(*pieces)
