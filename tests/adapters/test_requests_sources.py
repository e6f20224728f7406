"""A body that fails while it is sent is told by GreenAdapter as by HTTPAdapter: as trouble of the connection."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import requests
import urllib3
from gevent.event import Event
from requests import exceptions as told
from urllib3.util import Retry

from tests.adapters.making import MakeSession
from tests.support.clients import BOTH
from tests.support.origins import OriginFactory

Source = Callable[[Exception], Any]


class Failing:
    """Fails behind its first piece, as a file, as an iterator, and as what can be iterated again."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.begun = 0

    def __iter__(self) -> Iterator[bytes]:
        self.begun += 1
        yield b"a piece"
        raise self._error


class FailingFile:
    def __init__(self, error: Exception) -> None:
        self._pieces = iter(Failing(error))

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("a file is read")


def generator(error: Exception) -> Iterator[bytes]:
    return iter(Failing(error))


SOURCES = pytest.mark.parametrize("source", [generator, Failing, FailingFile])


@BOTH
@SOURCES
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(5, "the disk is broken"), told.ConnectionError),
        (TimeoutError("the disk is slow"), told.ConnectionError),
        (http.client.IncompleteRead(b"part"), told.ConnectionError),
        (told.ChunkedEncodingError("another response broke off"), told.ConnectionError),
        (urllib3.exceptions.ProtocolError("another response broke off"), told.ConnectionError),
        (ssl.SSLError(1, "another connection is broken"), told.SSLError),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_what_is_trouble_of_a_connection_is_told_in_requests_words(
    origin: OriginFactory,
    session: requests.Session,
    alpn: tuple[str, ...],
    source: Source,
    error: Exception,
    kind: type[requests.RequestException],
) -> None:
    server = origin(alpn=alpn)
    with pytest.raises(kind) as caught:
        session.post(f"{server.url}/echo", data=source(error))
    assert caught.value.__cause__ is error
    assert isinstance(caught.value.args[0], urllib3.exceptions.HTTPError)
    assert session.get(server.url).text == "hello\n"


@BOTH
@SOURCES
@pytest.mark.parametrize("error", [ValueError("a bug"), EOFError(), MemoryError()], ids=repr)
def test_all_else_passes_as_it_is(
    origin: OriginFactory,
    session: requests.Session,
    alpn: tuple[str, ...],
    source: Source,
    error: Exception,
) -> None:
    server = origin(alpn=alpn)
    with pytest.raises(type(error)) as caught:
        session.post(f"{server.url}/echo", data=source(error))
    assert caught.value is error
    assert session.get(server.url).text == "hello\n"


def test_a_body_that_can_be_made_again_is_sent_again_as_the_retry_says(
    origin: OriginFactory, make_session: MakeSession
) -> None:
    session = make_session(max_retries=Retry(2, allowed_methods=None))
    body = Failing(OSError("broken"))
    with pytest.raises(told.ConnectionError) as caught:
        session.post(f"{origin().url}/echo", data=body)
    assert isinstance(caught.value.args[0], urllib3.exceptions.MaxRetryError)
    assert body.begun == 3


def test_a_body_that_fails_while_the_answer_is_read_is_told_as_an_answer_that_broke_off(
    origin: OriginFactory, session: requests.Session
) -> None:
    error, answered = OSError("broken"), Event()

    def pieces() -> Iterator[bytes]:
        while not answered.is_set():
            yield b"a piece"
            gevent.sleep(0.01)
        raise error

    response = session.post(f"{origin().url}/stall-body", data=pieces(), stream=True)
    answered.set()
    with pytest.raises(told.ChunkedEncodingError) as caught:
        _ = response.content
    assert caught.value.args[0].__cause__ is error
