"""HTTPTransport(retries=...): connecting is tried again, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import pytest

import greenh2
from greenh2 import _transport
from tests.support.rawserver import RawServers

URL = "http://a.example/"


class Dials:
    """Counts the dials of a request, and does something before one of them."""

    def __init__(self, *, at: int = 0, act: Any = None) -> None:
        self.count = 0
        self._at = at
        self._act = act

    def __call__(self, event: str, facts: Mapping[str, object]) -> None:
        if event == "connection.dial":
            self.count += 1
            if self.count == self._at:
                self._act()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a Unix socket at which nobody listens yet."""
    return str(tmp_path / "socket")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(_transport, "pause", made.append)
    return made


def client_of(path: str, retries: int) -> greenh2.Client:
    return greenh2.Client(transport=greenh2.HTTPTransport(uds=path, retries=retries))


def test_a_server_that_comes_up_in_the_meantime_is_reached(raw_server: RawServers, path: str) -> None:
    servers = []
    dials = Dials(at=2, act=lambda: servers.append(raw_server(tls=False, uds=path)))
    with client_of(path, 1) as client:
        asking = gevent.spawn(client.get, URL, extensions={"trace": dials})
        while not servers and not asking.ready():
            gevent.sleep(0.001)
        peer = servers[0].accept()
        peer.read_until(b"\r\n\r\n")
        peer.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert asking.get().status_code == 204
    assert dials.count == 2


def test_it_is_tried_so_often_with_longer_and_longer_pauses(path: str, pauses: list[float]) -> None:
    dials = Dials()
    with client_of(path, 4) as client, pytest.raises(greenh2.ConnectError, match="No such file"):
        client.get(URL, extensions={"trace": dials})
    assert (dials.count, pauses) == (5, [0.0, 0.5, 1.0, 2.0])


def test_it_is_tried_once_unless_told_otherwise(path: str, pauses: list[float]) -> None:
    dials = Dials()
    with client_of(path, 0) as client, pytest.raises(greenh2.ConnectError):
        client.get(URL, extensions={"trace": dials})
    assert (dials.count, pauses) == (1, [])


def test_no_pause_is_begun_that_the_total_leaves_no_room_for(path: str, pauses: list[float]) -> None:
    dials = Dials()
    timeout = greenh2.Timeout(None, total=0.4)
    with client_of(path, 3) as client, pytest.raises(greenh2.ConnectError):
        client.get(URL, timeout=timeout, extensions={"trace": dials})
    assert (dials.count, pauses) == (2, [0.0])


def test_what_happens_on_a_connection_is_not_repeated(
    raw_server: RawServers, path: str, pauses: list[float]
) -> None:
    server = raw_server(tls=False, uds=path)
    with client_of(path, 3) as client:
        asking = gevent.spawn(client.get, URL)
        peer = server.accept()
        peer.read_until(b"\r\n\r\n")
        peer.close()
        with pytest.raises(greenh2.ServerDisconnected):
            asking.get()
    assert pauses == []


def test_a_full_pool_is_not_asked_again(raw_server: RawServers, path: str, pauses: list[float]) -> None:
    server = raw_server(tls=False, uds=path)
    limits = greenh2.Limits(max_connections=1)
    with greenh2.Client(transport=greenh2.HTTPTransport(uds=path, retries=3, limits=limits)) as client:
        asking = gevent.spawn(client.get, URL)
        server.accept().read_until(b"\r\n\r\n")
        with pytest.raises(greenh2.PoolTimeout):
            client.get(URL, timeout=greenh2.Timeout(None, pool=0.0))
        asking.kill()
    assert pauses == []


def test_a_kill_in_a_pause_passes(path: str) -> None:
    dials = Dials()
    with client_of(path, 9) as client:
        asking = gevent.spawn(client.get, URL, extensions={"trace": dials})
        while dials.count < 2:
            gevent.sleep(0.001)
        gevent.sleep(0.01)  # it pauses for half a second now
        asking.kill()
        assert isinstance(asking.value, gevent.GreenletExit)
        assert dials.count == 2


@pytest.mark.parametrize("retries", [-1, 1.5, "3", True, None])
def test_a_number_of_retries_is_one(retries: Any) -> None:
    with pytest.raises(ValueError, match="retries is 0 or more, and not "):
        greenh2.HTTPTransport(retries=retries)
