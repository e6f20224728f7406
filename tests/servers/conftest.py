"""A client for the real servers, closed after the test."""

from collections.abc import Iterator

import pytest

import greenh2
from tests.support.certificates import Certificates


@pytest.fixture
def client(certificates: Certificates) -> Iterator[greenh2.Client]:
    with greenh2.Client(verify=certificates.ca_file, timeout=20) as client:
        yield client


@pytest.fixture
def single(certificates: Certificates) -> Iterator[greenh2.Client]:
    """A client that may have one connection and no more."""
    limits = greenh2.Limits(max_connections=1)
    with greenh2.Client(verify=certificates.ca_file, timeout=20, limits=limits) as client:
        yield client
