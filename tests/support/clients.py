"""Clients for tests that talk to origins: they trust the test's authority and are closed afterwards."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import greenh2
from tests.support.certificates import Certificates

MakeClient = Callable[..., greenh2.Client]
BOTH = pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])


@pytest.fixture
def make_client(certificates: Certificates) -> Iterator[MakeClient]:
    """Makes clients; ``limits=5`` is short for ``limits=Limits(max_connections=5)``."""
    made: list[greenh2.Client] = []

    def make(*, limits: greenh2.Limits | int = 100, **options: Any) -> greenh2.Client:
        if isinstance(limits, int):
            limits = greenh2.Limits(max_connections=limits)
        client = greenh2.Client(**{"verify": certificates.ca_file, "limits": limits, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
