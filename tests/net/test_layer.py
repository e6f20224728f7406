"""A channel upon a channel.  What both share is tested in test_channel.py, for TLS in TLS as well ("nested")."""

import os

import pytest

from greenh2._net.channel import Channel
from greenh2._net.layer import stack
from tests.net.conftest import Pair, read_some
from tests.net.test_channel import MUCH


def stacked(below: Channel, early: bytes = b"") -> Channel:
    return stack(below, below._sock, "the peer", early)


def test_what_was_read_early_is_read_first(plain: Pair) -> None:
    below, peer = plain
    channel = stacked(below, b"first ")
    peer.send_bytes(b"second")
    assert channel.read() == b"first "
    assert read_some(channel) == b"second"


def test_the_addresses_are_those_of_the_socket(plain: Pair) -> None:
    below, _ = plain
    addresses = below.addresses()
    assert stacked(below).addresses() == addresses
    assert None not in addresses


def test_the_channel_below_holds_little_that_the_kernel_has_not_taken(nested: Pair) -> None:
    channel, peer = nested
    channel.write(bytes(MUCH))
    channel.flush()
    below: Channel = channel._sock._below  # type: ignore[attr-defined]  # a Layer
    assert 0 < below.unsent < 100_000
    assert channel.unsent > MUCH / 2
    assert peer.read_exactly(MUCH) == bytes(MUCH)
    assert (channel.unsent, below.unsent) == (0, 0)


def test_closing_closes_what_is_below(nested: Pair) -> None:
    channel, peer = nested
    below: Channel = channel._sock._below  # type: ignore[attr-defined]  # a Layer
    channel.close()
    assert below.closed
    assert peer.expect_end() == b""
    assert not peer.missed_goodbye


def test_in_a_forked_child_no_goodbye_is_said(nested: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    channel, peer = nested
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    channel.close()
    monkeypatch.undo()
    assert peer.expect_end() == b""
    assert peer.missed_goodbye
