"""What was exchanged can be pickled; what it was exchanged over cannot."""

from __future__ import annotations

import copy
import pickle

import pytest

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@BOTH
def test_a_response_can_be_pickled_with_all_that_led_to_it(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    response = make_client().get(f"{server.url}/redirect?to=/trailers", follow_redirects=True)
    taken = pickle.loads(pickle.dumps(response))
    for one, other in ((response, taken), (response.history[0], taken.history[0])):
        assert one is not other
        assert (other.status_code, other.content, other.http_version) == (
            *(one.status_code, one.content, one.http_version),
        )
        assert (other.headers.raw, other.trailers.raw) == (one.headers.raw, one.trailers.raw)
        assert (other.url, other.request.headers.raw) == (one.url, one.request.headers.raw)
        assert (other.elapsed, other.num_bytes_downloaded) == (one.elapsed, one.num_bytes_downloaded)
    assert taken.connection_info is None  # it is of a connection, which stays here


@BOTH
def test_a_streamed_response_can_be_pickled_before_and_after_it_is_closed(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    with client.stream("GET", f"{server.url}/bytes/300000") as response:
        pieces = response.iter_raw()
        next(pieces)
        early = pickle.loads(pickle.dumps(response))
        assert not response.is_closed  # pickling takes nothing and closes nothing
    for taken in (early, pickle.loads(pickle.dumps(response))):
        assert (taken.status_code, taken.is_closed) == (200, True)
        with pytest.raises(greenh2.ResponseNotRead):
            taken.content  # noqa: B018
        with pytest.raises(greenh2.StreamError):
            taken.read()
    assert client.get(server.url).status_code == 200


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_holds_connections_cannot_be_pickled_and_says_so(dump: type) -> None:
    with pytest.raises(TypeError, match="A Client cannot be pickled or copied"):
        dump(greenh2.Client())
    with pytest.raises(TypeError, match="An HTTPTransport cannot be pickled or copied"):
        dump(greenh2.HTTPTransport())
