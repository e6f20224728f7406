from collections.abc import Iterator
from typing import Any

import pytest
import requests

from greenh2.adapters.requests import GreenAdapter
from tests.adapters.making import MakeSession
from tests.support.certificates import Certificates
from tests.support.clients import make_client
from tests.support.rawserver import raw_server

__all__ = ["make_client", "raw_server"]


@pytest.fixture
def make_session(certificates: Certificates) -> Iterator[MakeSession]:
    """Makes sessions over a GreenAdapter with these options; they trust the test's authority."""
    made: list[requests.Session] = []

    def make(**options: Any) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = True if "pool" in options else certificates.ca_file
        adapter = GreenAdapter(**options)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session: MakeSession) -> requests.Session:
    return make_session()
