"""A body that has arrived with its head is taken at once; what holds for others holds for it."""

import gevent
import pytest

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


def arrived(client: greenh2.Client, url: str) -> greenh2.Response:
    """Return a response that is not read yet, though all of it is there."""
    response = client.send(client.build_request("GET", url), stream=True)
    with gevent.Timeout(5):
        while ", 0 streams" not in repr(client):
            gevent.sleep(0.005)
    return response


@BOTH
def test_it_is_read_with_all_that_is_told_of_a_body(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    response = arrived(make_client(), f"{origin(alpn=alpn).url}/bytes/1000")
    assert len(response.read()) == response.num_bytes_downloaded == 1000
    assert response.is_closed
    assert response.is_stream_consumed
    assert response.elapsed.total_seconds() > 0


@BOTH
def test_it_is_decoded(origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]) -> None:
    response = arrived(make_client(), f"{origin(alpn=alpn).url}/gzip")
    assert response.read() == b"squeezed\n" * 1000


@BOTH
def test_it_brings_its_trailers(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    response = arrived(make_client(), f"{origin(alpn=alpn).url}/trailers")
    response.read()
    assert response.trailers


@BOTH
def test_it_is_bounded(origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]) -> None:
    response = arrived(make_client(max_response_bytes=999), f"{origin(alpn=alpn).url}/bytes/1000")
    with pytest.raises(greenh2.ResponseTooLarge):
        response.read()


@BOTH
def test_it_is_gone_when_its_stream_was_closed(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    response = arrived(make_client(), f"{origin(alpn=alpn).url}/bytes/1000")
    response.stream.close()
    with pytest.raises(greenh2.StreamClosed):
        response.read()


@BOTH
def test_it_is_not_read_a_second_time(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    response = arrived(make_client(), f"{origin(alpn=alpn).url}/bytes/1000")
    pieces = response.iter_bytes(100)
    next(pieces)
    with pytest.raises(greenh2.StreamConsumed):
        response.read()
    pieces.close()
