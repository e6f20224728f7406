"""One request that several greenlets send: what becomes of one upload does not touch another."""

from collections.abc import Iterator

import gevent
import pytest
from hyperframe.frame import DataFrame

import greenh2
from tests.connection.conftest import Converse
from tests.support.rawserver import H2Peer

SIZE = 200_000


class Pieces:
    """A body that can be made again and again."""

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(20):
            yield b"." * (SIZE // 20)


def first_half_of(peer: H2Peer, stream_id: int) -> int:
    """Take some of an upload, of which the windows allow no more than 131,070 bytes; return how much it was."""
    peer.open_window(stream_id, 65_535)
    received = 0
    while received < 50_000:
        received += len(peer.expect(DataFrame, stream_id=stream_id).data)
    return received


def rest_of(peer: H2Peer, stream_id: int) -> int:
    """Take the rest of an upload; return how much that is."""
    received = 0
    while "END_STREAM" not in (frame := peer.expect(DataFrame, stream_id=stream_id)).flags:
        received += len(frame.data)
    return received + len(frame.data)


def test_an_upload_is_whole_though_another_one_of_the_same_request_has_ended(talk: Converse) -> None:
    it = talk()
    request = it.client.build_request("POST", it.server.url, content=Pieces())
    first = gevent.spawn(it.client.send, request)
    first_id = it.peer.expect_request().stream_id
    first_half_of(it.peer, first_id)
    second = gevent.spawn(it.client.send, request)
    second_id = it.peer.expect_request().stream_id
    received = first_half_of(it.peer, second_id)
    it.peer.answer(first_id, 413)
    assert first.get().status_code == 413
    it.peer.open_window(second_id, SIZE)
    assert received + rest_of(it.peer, second_id) == SIZE
    it.peer.answer(second_id)
    assert second.get().status_code == 200


def test_an_upload_from_a_generator_is_whole_though_another_greenlet_has_asked_for_it_too(
    talk: Converse,
) -> None:
    it = talk()
    request = it.client.build_request("POST", it.server.url, content=iter(Pieces()))
    first = gevent.spawn(it.client.send, request)
    stream_id = it.peer.expect_request().stream_id
    received = first_half_of(it.peer, stream_id)
    with pytest.raises(greenh2.StreamConsumed):
        it.client.send(request)
    it.peer.open_window(stream_id, SIZE)
    assert received + rest_of(it.peer, stream_id) == SIZE
    it.peer.answer(stream_id)
    assert first.get().status_code == 200
