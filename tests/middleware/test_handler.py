"""closed_on_error lets go of a response whatever happens, and drain of one that nobody asked for."""

from __future__ import annotations

import gevent
import pytest

from greenh2 import Response
from greenh2._middleware.handler import closed_on_error, drain
from tests.client.answers import Pieces


@pytest.mark.parametrize("error", [ValueError(), gevent.Timeout(), gevent.GreenletExit(), GeneratorExit()])
def test_any_error_closes_the_response_and_passes(error: BaseException) -> None:
    body = Pieces()
    with pytest.raises(type(error)) as caught, closed_on_error(Response(200, stream=body)):
        raise error
    assert caught.value is error
    assert body.closed


def test_a_block_that_ends_well_leaves_the_response_open() -> None:
    body = Pieces()
    with closed_on_error(Response(200, stream=body)):
        pass
    assert not body.closed


def test_an_error_while_closing_does_not_replace_the_one_under_way() -> None:
    body = Pieces(closing=ValueError("cannot close"))
    with pytest.raises(gevent.Timeout), closed_on_error(Response(200, stream=body)):
        raise gevent.Timeout


def test_a_second_interruption_while_closing_passes() -> None:
    class Killed(Pieces):
        def close(self) -> None:
            raise gevent.GreenletExit

    with pytest.raises(gevent.GreenletExit), closed_on_error(Response(200, stream=Killed())):
        raise gevent.Timeout


def test_a_body_of_exactly_64_kib_is_drained_and_kept() -> None:
    response = Response(302, stream=Pieces(b"x" * 65_536))
    drain(response)
    assert len(response.content) == 65_536


def test_a_longer_body_is_given_up() -> None:
    body = Pieces(b"x" * 65_536, b"x")
    response = Response(302, stream=body)
    drain(response)
    assert body.closed
    assert response._content is None


def test_a_body_that_somebody_has_begun_to_read_is_given_up() -> None:
    body = Pieces(b"one", b"two")
    response = Response(302, stream=body)
    pieces = response.iter_bytes()
    assert next(pieces) == b"one"
    drain(response)
    assert body.closed
    assert body.given == 1
    assert response._content is None
