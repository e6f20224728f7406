"""The words of the protocols."""

from __future__ import annotations

import pytest

from greenh2._errors import LocalProtocolError
from greenh2._protocol.events import RequestHead


def test_a_request_for_a_tunnel_is_none_for_a_protocol_of_responses() -> None:
    with pytest.raises(LocalProtocolError, match="CONNECT"):
        RequestHead(b"CONNECT", b"https", b"example.org", b"example.org:443", [])
