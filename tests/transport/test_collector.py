"""What nobody refers to any more is given back, without a switch inside a finalizer."""

import gc
import sys
from collections.abc import Iterator, Mapping

import gevent
import pytest
from gevent.event import Event
from h2.errors import ErrorCodes

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers


@BOTH
def test_a_dropped_response_gives_its_place_back_and_is_named_in_a_warning(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=1)
    response = client.send(client.build_request("GET", f"{server.url}/bytes/4000000"), stream=True)
    with pytest.warns(ResourceWarning, match=f"GET {server.url}/bytes/4000000 was dropped"):
        del response
        gc.collect()
    other = origin(alpn=alpn)
    assert client.get(other.url, timeout=5.0).text == "hello\n"


def test_a_response_dropped_in_a_callback_of_the_hub_gives_its_place_back(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    kept = [client.send(client.build_request("GET", f"{server.url}/bytes/4000000"), stream=True)]
    with pytest.warns(ResourceWarning, match="dropped"):
        gevent.get_hub().loop.run_callback(kept.clear)
        gevent.sleep(0)
        gc.collect()
    assert client.get(origin().url, timeout=5.0).text == "hello\n"


def test_a_body_that_is_being_sent_when_its_response_is_dropped_may_wait_as_it_cleans_up(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server()
    client = make_client()
    cleaned = Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"more"
                gevent.sleep(0.001)
        finally:
            gevent.sleep(0.001)
            cleaned.set()

    job = gevent.spawn(client.send, client.build_request("POST", server.url, content=endless()), stream=True)
    peer = server.accept()
    peer.greet()
    stream_id = peer.expect_request().stream_id
    peer.send(peer.head(stream_id))
    kept = [job.get()]
    del job
    with pytest.warns(ResourceWarning, match="dropped"):
        kept.clear()
        gc.collect()
        peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    assert cleaned.wait(5.0)


@BOTH
def test_the_collector_closes_nothing_in_its_midst(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=1)
    response = client.send(client.build_request("GET", f"{server.url}/bytes/4000000"), stream=True)
    pieces = response.iter_bytes()
    next(pieces)
    cycle: list[object] = [response, pieces]
    cycle.append(cycle)
    with pytest.warns(ResourceWarning, match="dropped without being read to its end"):
        del response, pieces, cycle
        gc.collect()
    assert "1 streams" in repr(client)
    assert client.get(origin(alpn=alpn).url, timeout=5.0).text == "hello\n"


@BOTH
def test_a_generator_that_is_left_within_a_stream_closes_it_soon_and_not_in_the_midst_of_the_collector(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...], recwarn: pytest.WarningsRecorder
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=1)
    collecting: list[bool] = []
    closed: list[list[bool]] = []
    responses: list[greenh2.Response] = []

    def trace(event: str, _: Mapping[str, object]) -> None:
        if event == "response.closed":
            gevent.sleep(0)  # which nobody may do in the collector's midst
            closed.append(collecting.copy())

    def pieces() -> Iterator[bytes]:
        url = f"{server.url}/bytes/4000000"
        with client.stream("GET", url, extensions={"trace": trace}) as response:
            responses.append(response)
            yield from response.iter_bytes()

    running = pieces()
    next(running)
    cycle: list[object] = [running]
    cycle.append(cycle)
    del running, cycle
    collecting.append(True)
    gc.collect()
    collecting.clear()
    assert responses[0].is_closed
    assert "1 streams" in repr(client)
    assert client.get(origin(alpn=alpn).url, timeout=5.0).text == "hello\n"
    assert closed == [[]]
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_a_response_read_to_its_end_is_no_matter_for_a_warning(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    response = client.send(client.build_request("GET", server.url), stream=True)
    for _ in response.iter_raw():
        pass
    del response
    gc.collect()
    assert "0 of 100 streams" in client.dump()


def test_a_client_dropped_while_a_response_is_read_lets_it_be_read(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = greenh2.Client(verify=make_client()._transport._dialer.tls.verify)  # type: ignore[union-attr]
    response = client.send(client.build_request("GET", f"{server.url}/bytes/4000000"), stream=True)
    del client
    gc.collect()
    assert len(response.read()) == 4_000_000
    del response
    gc.collect()
    server.wait_until(lambda stats: not stats.open)


def test_the_interpreter_is_not_asked_for_all_its_threads(
    origin: OriginFactory, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That holds a lock while it makes objects; a finalizer that asks too, from the collector, waits for ever."""
    asked: list[str] = []

    def ask() -> dict[int, object]:
        asked.append("all")
        return {}

    monkeypatch.setattr(sys, "_current_frames", ask)
    client = greenh2.Client()
    client.get(origin(tls=False).url)
    client.dump()
    del client
    gc.collect()
    assert not asked
