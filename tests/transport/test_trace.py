"""The life of a request, told line by line to the log and event by event to a trace hook."""

import logging
from collections.abc import Mapping

import gevent
import pytest

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@BOTH
def test_the_trace_hook_gets_every_step_in_the_greenlet_of_the_request(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    seen: list[tuple[str, Mapping[str, object], object]] = []

    def hook(event: str, facts: Mapping[str, object]) -> None:
        seen.append((event, facts, gevent.getcurrent()))

    client.get(server.url, extensions={"trace": hook})
    assert [event for event, _, _ in seen] == [
        "connection.dial",
        "connection.connected",
        "pool.acquired",
        "request.head",
        "response.head",
        "response.closed",
    ]
    assert {greenlet for _, _, greenlet in seen} == {gevent.getcurrent()}
    facts = {event: facts for event, facts, _ in seen}
    assert facts["connection.connected"]["protocol"] == client.get(server.url).http_version
    assert facts["pool.acquired"]["reused"] is False
    assert facts["response.head"]["status"] == 200


def test_an_error_in_a_trace_hook_reaches_the_caller_and_takes_no_place(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)

    def hook(event: str, facts: Mapping[str, object]) -> None:
        if event == "pool.acquired":
            raise RuntimeError("mine")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="mine"):
            client.get(server.url, extensions={"trace": hook})
    assert client.get(server.url).text == "hello\n"


def test_the_log_tells_the_life_of_a_request_and_of_its_connection(
    origin: OriginFactory, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server = origin()
    client = make_client(limits=greenh2.Limits(keepalive_expiry=0.1))
    with caplog.at_level(logging.DEBUG, logger="greenh2"):
        client.get(f"https://user:hidden@{server.url[8:]}/")
        server.wait_until(lambda stats: not stats.open)
        gevent.sleep(0)
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == [
        "connection.dial",
        "connection.connected",
        "pool.acquired",
        "request.head",
        "response.head",
        "response.closed",
        "connection.reaped",
        "connection.closed",
    ]
    assert "protocol=HTTP/2" in caplog.text
    assert "keepalive_expiry=0.1" in caplog.text
    assert "hidden" not in caplog.text


def test_nothing_is_formatted_while_nobody_listens(
    origin: OriginFactory, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server = origin()
    with caplog.at_level(logging.INFO, logger="greenh2"):
        make_client().get(server.url)
    assert caplog.records == []


@BOTH
def test_a_response_tells_of_its_connection(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    first, second = client.get(server.url).connection_info, client.get(server.url).connection_info
    assert first["remote_address"] == ("127.0.0.1", server.port)
    assert first["tls_version"] == "TLSv1.3"
    assert first["cipher"]
    assert first["origin"] == server.url
    assert (first["reused"], second["reused"]) == (False, True)
    assert first["id"] == second["id"]


def test_a_plain_connection_has_no_tls_to_tell_of(origin: OriginFactory, make_client: MakeClient) -> None:
    info = make_client().get(origin(alpn=("http/1.1",), tls=False).url).connection_info
    assert (info["tls_version"], info["cipher"]) == (None, None)


@BOTH
def test_an_error_of_the_hook_at_the_end_does_not_hide_what_ended_the_response(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server, client = origin(alpn=alpn), make_client()

    def hook(event: str, facts: Mapping[str, object]) -> None:
        if event == "response.closed":
            raise LookupError(event)

    with client.stream("GET", f"{server.url}/bytes/4000000", extensions={"trace": hook}) as response:
        pieces = response.iter_raw()
        next(pieces)
        with pytest.raises(KeyError):
            pieces.throw(KeyError("under way"))
    assert "0 streams" in repr(client)
