"""httpx and httpx2 over greenh2: what their Client does stays what it was, over HTTP/2 and HTTP/1.1."""

import importlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

import greenh2
from tests.support.certificates import Certificates
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

# Any: httpx or httpx2, and what they make.
Family = Any
Make = Callable[..., Any]


@pytest.fixture(params=["httpx", "httpx2"])
def family(request: pytest.FixtureRequest) -> Family:
    return importlib.import_module(request.param)


def transport_class(family: Family) -> Any:
    return importlib.import_module(f"greenh2.adapters.{family.__name__}").GreenTransport


@pytest.fixture
def make(family: Family, certificates: Certificates) -> Iterator[Make]:
    """Makes clients of httpx over a GreenTransport with these options."""
    made: list[Any] = []

    def client(*, timeout: Any = 5.0, **options: Any) -> Any:
        if "pool" not in options:
            options.setdefault("verify", certificates.ca_file)
        client = family.Client(transport=transport_class(family)(**options), timeout=timeout)
        made.append(client)
        return client

    yield client
    for client_made in made:
        client_made.close()


@BOTH
def test_a_response_says_what_httpx_says_of_it(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    response = make().get(f"{server.url}/headers", params={"a": "1 2"})
    over_h2 = alpn == ("h2",)
    assert response.status_code == 200
    assert response.http_version == ("HTTP/2" if over_h2 else "HTTP/1.1")
    assert response.reason_phrase == ("OK" if over_h2 else "So Be It")
    assert response.extensions.get("stream_id") == (1 if over_h2 else None)
    assert response.extensions["connection_info"]["reused"] is False
    assert response.json()["path"] == "/headers?a=1+2" == server.stats().paths[0]
    assert response.elapsed.total_seconds() > 0


def test_the_connection_may_be_asked_about(origin: OriginFactory, make: Make) -> None:
    server = origin()
    stream = make().get(server.url).extensions["network_stream"]
    assert isinstance(stream.get_extra_info("ssl_object"), ssl.SSLObject)
    assert stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
    assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
    assert stream.get_extra_info("socket") is None
    plain = origin(alpn=("http/1.1",), tls=False)
    assert make().get(plain.url).extensions["network_stream"].get_extra_info("ssl_object") is None


def test_greenlets_share_one_connection(origin: OriginFactory, make: Make) -> None:
    server = origin()
    client = make()
    jobs = [gevent.spawn(client.get, f"{server.url}/sleep/0.3") for _ in range(30)]
    gevent.joinall(jobs, raise_error=True)
    (connection,) = server.stats().connections
    assert connection.most_open_streams > 10


@BOTH
def test_headers_are_sent_in_order_and_a_target_as_it_is(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make()
    client.headers.clear()
    client.post(server.url, headers={"b": "1", "a": "2"}, content=b"abc", extensions={"target": b"/other?x"})
    (seen,) = server.stats().requests
    fields = [(name.lower(), value) for name, value in seen.headers if name.lower() != "host"]
    assert fields == [("b", "1"), ("a", "2"), ("content-length", "3")]
    assert seen.path == "/other?x"


def pieces() -> Iterator[bytes]:
    yield b"ab"
    yield b"cd"


@BOTH
@pytest.mark.parametrize(
    "how",
    [
        {"content": b"abcd"},
        {"content": pieces},
        {"data": {"a": "b"}},
        {"json": [1]},
        {"files": {"f": b"abcd"}},
    ],
    ids=lambda how: next(iter(how)),
)
def test_every_kind_of_body_arrives(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...], how: dict[str, Any]
) -> None:
    how = {name: value() if callable(value) else value for name, value in how.items()}
    server = origin(alpn=alpn)
    response = make().post(f"{server.url}/echo", **how)
    sent = response.request
    assert response.content == (b"abcd" if "content" in how else sent.read())
    seen = {name.lower(): value for name, value in server.stats().requests[0].headers}
    assert seen.get("content-type") == sent.headers.get("content-type")


def test_a_body_that_only_an_async_client_can_send_is_refused(family: Family) -> None:
    class Asynchronous:
        async def __aiter__(self) -> Any:
            yield b""

    with transport_class(family)() as transport:
        with pytest.raises(RuntimeError, match="only an AsyncClient can send"):
            transport.handle_request(family.Request("POST", "https://localhost/", content=Asynchronous()))


def test_a_url_that_only_httpx_understands_leads_nowhere(family: Family) -> None:
    with transport_class(family)() as transport:
        with pytest.raises(family.ConnectError, match="The port behind") as caught:
            transport.handle_request(family.Request("GET", "http://127.0.0.1:123456/"))
    assert isinstance(caught.value.__cause__, greenh2.InvalidURL)
    assert caught.value.request.method == "GET"


@BOTH
def test_redirects_cookies_and_codings_are_left_to_httpx(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make()
    response = client.get(f"{server.url}/redirect?to=/gzip", follow_redirects=True)
    assert (response.text, len(response.history)) == ("squeezed\n" * 1000, 1)
    client.get(f"{server.url}/cookie?a=1&b=2")
    assert dict(client.cookies) == {"a": "1", "b": "2"}


@BOTH
def test_a_body_comes_as_it_arrives_and_may_be_left(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make(limits=greenh2.Limits(max_connections=1))
    with client.stream("GET", f"{server.url}/drip/1000000/0.005") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["drip"] * 3
    assert client.get(server.url).text == "hello\n"
    server.wait_until(lambda stats: stats.requests[0].outcome in ("reset", "lost", "closed"))


@pytest.mark.parametrize(
    ("path", "options", "error", "cause"),
    [
        ("close", {}, "RemoteProtocolError", greenh2.ServerDisconnected),
        ("close-body", {}, "RemoteProtocolError", greenh2.ServerDisconnected),
        ("reset/2", {}, "RemoteProtocolError", greenh2.RemoteProtocolError),
        ("reset-body/2", {}, "RemoteProtocolError", greenh2.RemoteProtocolError),
        ("stall", {"timeout": (5, 0.3, 5, 5)}, "ReadTimeout", greenh2.ReadTimeout),
        ("stall-body", {"timeout": (5, 0.3, 5, 5)}, "ReadTimeout", greenh2.ReadTimeout),
        (
            "hold",
            {"timeout": (5, 5, 0.3, 5), "content": bytes(1_000_000)},
            "WriteTimeout",
            greenh2.WriteTimeout,
        ),
        ("", {"headers": {"a b": "c"}}, "LocalProtocolError", greenh2.LocalProtocolError),
    ],
)
def test_errors_are_those_of_httpx(
    origin: OriginFactory,
    make: Make,
    family: Family,
    path: str,
    options: dict[str, Any],
    error: str,
    cause: type[Exception],
) -> None:
    with pytest.raises(getattr(family, error)) as caught:
        make().request("POST", f"{origin().url}/{path}", **options)
    assert type(caught.value).__module__ == family.__name__
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.request.method == "POST"


def test_errors_of_dialing_are_those_of_httpx(origin: OriginFactory, make: Make, family: Family) -> None:
    server = origin()
    server.stop()
    with pytest.raises(family.ConnectError, match="Connection refused"):
        make().get(server.url)
    with pytest.raises(family.ConnectError, match="certificate"):
        make(verify=True).get(origin().url)
    with pytest.raises(family.ConnectTimeout):
        make(timeout=family.Timeout(5, connect=0.3)).get(origin(handshake_delay=60).url)
    with pytest.raises(family.UnsupportedProtocol):
        make().get("ftp://localhost/")


def test_a_total_timeout_is_a_timeout(origin: OriginFactory, make: Make, family: Family) -> None:
    with pytest.raises(family.TimeoutException) as caught:
        make().get(f"{origin().url}/drip/1000000/0.01", extensions={"timeout": {"total": 0.3}})
    assert isinstance(caught.value.__cause__, greenh2.TotalTimeout)


def test_a_pool_that_is_full_for_too_long(origin: OriginFactory, make: Make, family: Family) -> None:
    server = origin(alpn=("http/1.1",))
    client = make(limits=family.Limits(max_connections=1), timeout=family.Timeout(5, pool=0.3))
    with client.stream("GET", f"{server.url}/stall-body"):
        with pytest.raises(family.PoolTimeout):
            gevent.spawn(client.get, server.url).get()
    assert client.get(server.url).text == "hello\n"


def test_limits_of_httpx_are_taken_over(family: Family) -> None:
    limits = family.Limits(max_connections=3, max_keepalive_connections=2, keepalive_expiry=1)
    with transport_class(family)(limits=limits) as transport:
        assert transport._own._limits == greenh2.Limits(
            max_connections=3, max_keepalive_connections=2, keepalive_expiry=1
        )


def test_a_trace_is_told_the_events_of_greenh2(origin: OriginFactory, make: Make) -> None:
    events: list[str] = []
    make().get(origin().url, extensions={"trace": lambda event, facts: events.append(event)})
    assert {"connection.dial", "connection.connected", "response.head"} <= set(events)


def test_a_name_for_tls_may_be_told(
    origin: OriginFactory, make: Make, family: Family, certificates: Certificates
) -> None:
    server = origin(certificate=certificates.issue("other.example"))
    with pytest.raises(family.ConnectError):
        make().get(server.url)
    assert make().get(server.url, extensions={"sni_hostname": "other.example"}).text == "hello\n"


def test_a_shared_pool_is_not_closed(origin: OriginFactory, make: Make, make_client: MakeClient) -> None:
    server = origin()
    mine = make_client()
    mine.get(server.url)
    client = make(pool=mine)
    assert client.get(server.url).text == "hello\n"
    client.close()
    assert mine.get(server.url).text == "hello\n"
    assert len(server.stats().connections) == 1


def test_a_closed_client_closes_its_connections(origin: OriginFactory, make: Make) -> None:
    server = origin()
    client = make()
    client.get(server.url)
    client.close()
    server.wait_until(lambda stats: not stats.open)


def test_a_transport_that_is_dropped_closes_what_is_idle(
    origin: OriginFactory, family: Family, certificates: Certificates
) -> None:
    server = origin()
    transport = transport_class(family)(
        verify=certificates.ca_file, limits=greenh2.Limits(keepalive_expiry=None)
    )
    transport.handle_request(family.Request("GET", server.url)).read()
    del transport
    stats = server.wait_until(lambda stats: not stats.open)
    assert stats.connections[0].goaway == 0


@BOTH
@pytest.mark.parametrize("path", ["stall", "stall-body"])
def test_a_request_that_is_killed_leaves_nothing(
    origin: OriginFactory, make: Make, alpn: tuple[str, ...], path: str
) -> None:
    server = origin(alpn=alpn)
    client = make(limits=greenh2.Limits(max_connections=1))
    job = gevent.spawn(client.get, f"{server.url}/{path}", timeout=None)
    server.wait_until(lambda stats: len(stats.requests) == 1)
    job.kill()
    assert client.get(server.url).text == "hello\n"
    assert "0 streams, 0 waiting" in repr(client._transport)


def test_what_was_refused_unprocessed_is_sent_again(origin: OriginFactory, make: Make) -> None:
    server = origin(refuse_streams=1)
    assert make().post(f"{server.url}/echo", content=b"abc").content == b"abc"
    assert [request.outcome for request in server.stats().requests] == ["refused", "answered"]
