"""SOCKS5: what is sent, and what is made of replies in whatever pieces they come."""

import subprocess
import sys

import pytest

from greenh2._errors import ProxyError
from greenh2._models.proxy import Proxy
from greenh2._protocol.socks import Socks

PROXY = Proxy("socks5h://user:hidden@proxy.example")
BARE = Proxy("socks5h://proxy.example")
OPEN, ASK_PASSWORD, NO_METHOD = b"\x05\x00", b"\x05\x02", b"\x05\xff"
ACCEPTED = b"\x01\x00"
TO_NAME = b"\x05\x01\x00\x03\x09a.example\x01\xbb"
DONE = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def talk_of(proxy: Proxy, host: str = "a.example") -> Socks:
    return Socks(proxy, host, 443)


def test_without_credentials_none_are_offered() -> None:
    talk = talk_of(BARE)
    assert talk.outgoing() == b"\x05\x01\x00"
    assert not talk.receive(OPEN)
    assert talk.outgoing() == TO_NAME
    assert talk.receive(DONE)
    assert talk.rest == b""


def test_credentials_are_given_where_they_are_asked_for() -> None:
    talk = talk_of(PROXY)
    assert talk.outgoing() == b"\x05\x02\x00\x02"
    assert not talk.receive(ASK_PASSWORD)
    assert talk.outgoing() == b"\x01\x04user\x06hidden"
    assert not talk.receive(ACCEPTED)
    assert talk.outgoing() == TO_NAME
    assert talk.receive(DONE)


def test_credentials_are_not_given_where_nobody_asks() -> None:
    talk = talk_of(PROXY)
    talk.outgoing()
    assert not talk.receive(OPEN)
    assert talk.outgoing() == TO_NAME


@pytest.mark.parametrize(
    ("host", "command"),
    [
        ("127.0.0.1", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb"),
        ("::1", b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"),
    ],
)
def test_an_address_is_sent_as_one(host: str, command: bytes) -> None:
    talk = talk_of(BARE, host)
    talk.outgoing()
    talk.receive(OPEN)
    assert talk.outgoing() == command


@pytest.mark.parametrize(
    "bound", [b"\x01" + bytes(4), b"\x04" + bytes(16), b"\x03\x07b.local"], ids=["IPv4", "IPv6", "name"]
)
def test_every_byte_may_come_alone_and_what_is_behind_belongs_to_the_tunnel(bound: bytes) -> None:
    done = b"\x05\x00\x00" + bound + b"\x00\x50"
    talk = talk_of(PROXY)
    pieces = [bytes([byte]) for byte in ASK_PASSWORD + ACCEPTED + done]
    assert [talk.receive(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    at_once = talk_of(PROXY)
    assert at_once.receive(ASK_PASSWORD + ACCEPTED + done + b"first words")
    assert at_once.rest == b"first words"


@pytest.mark.parametrize(
    ("proxy", "replies", "message"),
    [
        (BARE, NO_METHOD, r"\(none\); give it a user name and a password"),
        (BARE, ASK_PASSWORD, r"\(none\); give it a user name and a password"),
        (PROXY, NO_METHOD, r"offered \(none, user name and password\)$"),
        (PROXY, b"\x05\x01", "accepts no way"),  # GSSAPI
        (PROXY, ASK_PASSWORD + b"\x01\x01", "does not accept the user name and password"),
        (PROXY, b"\x05\x09", "does not speak SOCKS5"),
        (PROXY, b"\x04" + ASK_PASSWORD[1:], "does not speak SOCKS5"),
        (PROXY, b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS5"),
        (BARE, OPEN + b"\x04" + DONE[1:], "does not speak SOCKS5"),
        (BARE, OPEN + b"\x05\x77" + DONE[2:], "does not speak SOCKS5"),
        (BARE, OPEN + b"\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00", "does not speak SOCKS5"),
        (BARE, OPEN + b"\x05\x00\x00\x03\x01\xff\x00\x00", "does not speak SOCKS5"),
        (
            BARE,
            OPEN + b"\x05\x02" + DONE[2:],
            "no tunnel to a.example port 443: connection not allowed by ruleset",
        ),
        (BARE, OPEN + b"\x05\x07" + DONE[2:], "command not supported"),
    ],
)
def test_a_refusal_names_the_proxy_and_the_reason(proxy: Proxy, replies: bytes, message: str) -> None:
    talk = talk_of(proxy)
    with pytest.raises(ProxyError, match=message) as caught:
        talk.receive(replies)
    assert "the proxy socks5h://proxy.example:1080" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert not talk.elsewhere


@pytest.mark.parametrize(
    "behind", [b"", b"\0", b"\0\0", bytes(4), bytes(8), b"\0\x03\x00", b"\0\x09" + bytes(6)], ids=repr
)
def test_a_refusal_is_one_whatever_address_stands_behind_it(behind: bytes) -> None:
    talk = talk_of(BARE)
    assert not talk.receive(OPEN)
    with pytest.raises(ProxyError, match="port 443: connection refused"):
        talk.receive(b"\x05\x05" + behind)
    assert talk.elsewhere


@pytest.mark.parametrize("code", [1, 3, 4, 5, 6, 8])
def test_another_address_may_be_reached_where_this_one_is_not(code: int) -> None:
    talk = talk_of(BARE)
    with pytest.raises(ProxyError):
        talk.receive(OPEN + b"\x05" + bytes([code]) + DONE[2:])
    assert talk.elsewhere


@pytest.mark.parametrize("replies", [b"", b"\x05", OPEN, OPEN + DONE[:-1]])
def test_an_end_before_the_answer_is_an_error(replies: bytes) -> None:
    talk = talk_of(BARE)
    if replies:
        assert not talk.receive(replies)
    with pytest.raises(ProxyError, match="ended the connection before the tunnel stood"):
        talk.receive(b"")


def test_without_its_package_the_extra_is_named() -> None:
    program = (
        "import sys, greenh2\n"
        "sys.modules['socksio'] = None\n"
        "greenh2.Client(proxy='http://p.example')\n"
        "try:\n"
        "    greenh2.Client(proxy='socks5://p.example')\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'greenh2[socks]'" in done.stdout


def test_neither_socksio_nor_the_tunnels_are_imported_before_they_are_needed() -> None:
    program = (
        "import sys, greenh2\n"
        "greenh2.Client()\n"
        "print([name for name in sys.modules if 'socks' in name or 'tunnel' in name or name.endswith('.mounts')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
