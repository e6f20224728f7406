"""The ends of responses and of sessions over greenh2: who may still read what."""

import gevent
import pytest
import requests
import requests.exceptions as told

import greenh2
from tests.adapters.making import MakeSession
from tests.support.clients import BOTH
from tests.support.origins import OriginFactory


@BOTH
def test_a_response_can_be_read_after_its_session_was_closed(
    origin: OriginFactory, make_session: MakeSession, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    with make_session(limits=greenh2.Limits(keepalive_expiry=None)) as session:
        response = session.get(f"{server.url}/drip/3/0.1", stream=True)
    assert response.text == "drip\n" * 3
    server.wait_until(lambda stats: not stats.open)
    assert [request.outcome for request in server.stats().requests] == ["answered"]


def test_who_closes_a_session_takes_nothing_from_those_who_wait_for_an_answer(
    origin: OriginFactory, make_session: MakeSession
) -> None:
    server = origin(max_concurrent_streams=1)
    session = make_session(limits=greenh2.Limits(max_connections=1, keepalive_expiry=None))
    asking = [gevent.spawn(session.get, f"{server.url}/sleep/0.3") for _ in range(3)]
    server.wait_until(lambda stats: len(stats.requests) == 1)
    session.close()
    assert [job.get().status_code for job in asking] == [200] * 3
    server.wait_until(lambda stats: not stats.open)


@BOTH
def test_a_response_that_another_greenlet_closes_ends_in_an_error_of_requests(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    response = session.get(f"{server.url}/stall-body", stream=True)
    gevent.spawn_later(0.2, response.close)
    with pytest.raises(told.ChunkedEncodingError) as caught:
        response.content  # noqa: B018 - it is read here
    assert isinstance(caught.value.args[0].__cause__, greenh2.StreamClosed)
