"""TLS sessions are taken up again by later connections of the same client to the same route, and by nobody else."""

import ssl
import time
from itertools import count

import gevent
import pytest

import greenh2
from greenh2._net import sessions
from tests.support.badnet import Relay
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import Origin, OriginFactory

NONE_KEPT = greenh2.Limits(max_keepalive_connections=0)


@pytest.fixture(autouse=True)
def none_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests have read does not count."""
    monkeypatch.setattr(sessions, "_read", count())


def resumed(client: greenh2.Client, server: Origin, **options: object) -> bool:
    info = client.get(server.url, **options).extensions["connection_info"]  # type: ignore[arg-type]
    assert not info["reused"]
    return bool(info["tls_resumed"])


@BOTH
def test_a_later_connection_takes_up_the_session_of_the_first(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=NONE_KEPT)
    assert [resumed(client, server) for _ in range(4)] == [False, True, True, True]


def test_other_servers_and_other_clients_have_sessions_of_their_own(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server, other = origin(), origin()
    client = make_client(limits=NONE_KEPT)
    resumed(client, server)
    assert not resumed(client, other)
    assert not resumed(make_client(limits=NONE_KEPT), server)
    sni = {"sni_hostname": "127.0.0.1"}
    assert not resumed(client, server, extensions=sni)


def test_after_an_hour_the_certificate_is_shown_again(
    origin: OriginFactory, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = origin()
    client = make_client(limits=NONE_KEPT)
    resumed(client, server)
    assert resumed(client, server)
    later = time.monotonic() + sessions.LONGEST + 1
    monkeypatch.setattr(sessions, "monotonic", lambda: later)
    assert [resumed(client, server) for _ in range(2)] == [False, True]


def test_to_take_a_session_up_does_not_prolong_its_hour(
    origin: OriginFactory, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = origin()
    client = make_client(limits=NONE_KEPT)
    begun = time.monotonic()
    taken_up = []
    for hours in (0.0, 0.6, 1.2):
        now = begun + hours * sessions.LONGEST
        monkeypatch.setattr(sessions, "monotonic", lambda now=now: now)
        taken_up.append(resumed(client, server))
    assert taken_up == [False, True, False]


def test_a_session_is_not_taken_up_by_a_context_that_has_become_stricter(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    context = greenh2.create_ssl_context(verify=False)
    client = make_client(limits=NONE_KEPT, verify=context)
    with pytest.warns(greenh2.InsecureRequestWarning):
        resumed(client, server)
    assert resumed(client, server)
    context.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(greenh2.ConnectError, match="not accepted"):
        client.get(server.url)


def test_a_handshake_that_fails_leaves_no_session(origin: OriginFactory, make_client: MakeClient) -> None:
    client = make_client(limits=NONE_KEPT)
    kept = client._transport._dialer.sessions._kept  # type: ignore[union-attr]
    with Relay(origin().port) as net:
        url = f"https://localhost:{net.port}/"
        client.get(url)
        assert len(kept) == 1
        net.swallow()
        with pytest.raises(greenh2.ConnectTimeout):
            client.get(url, timeout=greenh2.Timeout(5.0, connect=0.3))
        assert not kept


def test_a_request_that_is_killed_while_it_connects_takes_no_session_from_the_others(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(handshake_delay=0.2)
    client = make_client(limits=NONE_KEPT)
    resumed(client, server)
    with gevent.Timeout(0.1, False):  # type: ignore[arg-type]  # False: end the block in silence
        client.get(server.url)
    assert resumed(client, server)


@pytest.mark.parametrize(("pauses", "taken_up"), [((), False), ((1,), True)], ids=["always", "but for once"])
def test_a_server_that_goes_on_to_refuse_sessions_is_offered_no_more(
    origin: OriginFactory, make_client: MakeClient, pauses: tuple[int, ...], taken_up: bool
) -> None:
    client = make_client(limits=NONE_KEPT)
    servers = [origin() for _ in range(2)]
    with Relay(servers[0].port) as net:

        def through() -> bool:
            info = client.get(f"https://localhost:{net.port}/").extensions["connection_info"]
            return bool(info["tls_resumed"])

        through()
        for number in range(sessions.MOST_REFUSED):
            net.lead_to(servers[(number + 1) % 2].port)
            assert not through()
            if number in pauses:
                assert through()
        assert [through() for _ in range(3)] == [taken_up] * 3


@pytest.mark.parametrize(("loses", "taken_up"), [(True, False), (False, True)])
def test_where_python_loses_what_is_read_few_sessions_are_read(
    origin: OriginFactory,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    loses: bool,
    taken_up: bool,
) -> None:
    monkeypatch.setattr(sessions, "LOSES", loses)
    monkeypatch.setattr(sessions, "MOST_READ", 1)
    first, second = origin(), origin()
    client = make_client(limits=NONE_KEPT)
    assert [resumed(client, first) for _ in range(3)] == [False, True, True]
    assert [resumed(client, second) for _ in range(3)] == [False, taken_up, taken_up]


def test_sessions_of_few_routes_are_kept(
    origin: OriginFactory, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 1)
    first, second = origin(), origin()
    client = make_client(limits=NONE_KEPT)
    resumed(client, first)
    resumed(client, second)
    assert resumed(client, second)
    assert not resumed(client, first)
