"""What is refused before anything is sent, and what is sent again when it was not processed."""

import gevent
import pytest

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"http1": False, "http2": False}, ValueError, "no protocol"),
        ({"http2": "maybe"}, ValueError, "maybe"),
        ({"verify": "/no/such/file.pem"}, FileNotFoundError, "/no/such/file.pem"),
        ({"cert": "/no/such/cert.pem"}, FileNotFoundError, "/no/such/cert.pem"),
    ],
)
def test_a_transport_that_cannot_work_is_not_made(
    options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        greenh2.HTTPTransport(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["a\r\nInjected: yes", "a\nb", "a\0b"])
@BOTH
def test_a_header_that_would_split_the_request_is_refused_and_the_connection_lives(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...], value: str
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    client.get(server.url)
    with pytest.raises(greenh2.LocalProtocolError, match="X-Name"):
        client.get(server.url, headers={"X-Name": value})
    client.get(server.url)
    stats = server.stats()
    assert len(stats.requests) == 2
    assert len(stats.connections) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Name", "a\r\nInjected: yes"),
        ("X-Name", "a\0b"),
        ("Content-Length", "5"),
        ("Content-Length", "x"),
        ("Transfer-Encoding", "chunked"),
    ],
)
@BOTH
def test_headers_that_were_changed_on_the_way_to_the_transport_are_judged_as_if_they_were_new(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...], name: str, value: str
) -> None:
    server = origin(alpn=alpn)
    inner = make_client()

    def change(request: greenh2.Request) -> greenh2.Response:
        request.headers[name] = value
        return inner._transport.handle_request(request)  # type: ignore[union-attr]

    inner.get(server.url)
    with (
        greenh2.Client(transport=change) as client,
        pytest.raises(greenh2.LocalProtocolError, match=r"X-Name|Content-Length"),
    ):
        client.post(server.url, content=b"four")
    assert inner.get(server.url).is_success
    stats = server.stats()
    assert len(stats.requests) == 2
    assert len(stats.connections) == 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://", greenh2.InvalidURL),
        ("ftp://localhost/", greenh2.UnsupportedProtocol),
        ("/relative", greenh2.UnsupportedProtocol),
    ],
)
def test_an_url_that_leads_nowhere_is_refused(
    make_client: MakeClient, url: str, error: type[Exception]
) -> None:
    client = make_client()
    with pytest.raises(error):
        client.get(url)
    assert client.dump() == "No connections: nothing was sent yet."


def test_a_request_for_a_tunnel_is_refused_before_anything_is_sent(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    client = make_client()
    with pytest.raises(greenh2.LocalProtocolError, match="CONNECT"):
        client.request("CONNECT", origin().url)
    assert client.dump() == "No connections: nothing was sent yet."


def test_a_closed_client_sends_nothing(origin: OriginFactory, make_client: MakeClient) -> None:
    client = make_client()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get(origin().url)


def test_a_closed_transport_sends_nothing(origin: OriginFactory) -> None:
    transport = greenh2.HTTPTransport()
    transport.close()
    with pytest.raises(greenh2.CloseError, match="closed"):
        transport.handle_request(greenh2.Request("GET", origin().url))


def test_a_refused_post_is_sent_again(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(refuse_streams=3)
    client = make_client()
    assert client.post(f"{server.url}/echo", content=b"pay once").content == b"pay once"
    assert [request.outcome for request in server.stats().requests] == ["refused"] * 3 + ["answered"]


def test_endless_refusals_end(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin(refuse_streams=1000)
    client = make_client()
    with pytest.raises(greenh2.RemoteProtocolError, match="REFUSED_STREAM"):
        client.get(server.url)


@BOTH
def test_a_rolling_server_loses_no_request(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn, keepalive_requests=7)
    client = make_client(limits=4)

    def work() -> None:
        for _ in range(10):
            assert len(client.get(f"{server.url}/bytes/5000").content) == 5000

    gevent.joinall([gevent.spawn(work) for _ in range(12)], raise_error=True)
    assert len(server.stats().connections) >= 120 // 7


def test_http_1_1_is_used_where_the_server_requires_it(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin(alpn=("h2", "http/1.1"))
    client = make_client()
    with pytest.raises(greenh2.ServerDisconnected):  # over HTTP/1.1 this path hangs up
        client.get(f"{server.url}/reset/13")
    assert [connection.protocol for connection in server.stats().connections][:2] == ["h2", "http/1.1"]


@pytest.mark.parametrize("target", [b"/a\r\nX: y", b"/a b", b"", "/\xff", b"/\x7f"])
@BOTH
def test_a_target_that_would_split_the_request_is_refused(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...], target: bytes | str
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    with pytest.raises(greenh2.LocalProtocolError, match="target"):
        client.get(server.url, extensions={"target": target})
    assert client.get(server.url, extensions={"target": "/bytes/3"}).content == b"\0\1\2"


@pytest.mark.parametrize(
    ("extensions", "error"),
    [
        ({"target": 5}, TypeError),
        ({"trace": 5}, TypeError),
        ({"sni_hostname": ["a"]}, TypeError),
        ({"sni_hostname": "a\0b"}, greenh2.InvalidURL),
        ({"sni_hostname": b"\xff"}, greenh2.InvalidURL),
    ],
)
def test_an_extension_of_the_wrong_kind_is_refused(
    origin: OriginFactory, make_client: MakeClient, extensions: dict[str, object], error: type[Exception]
) -> None:
    server = origin()
    with pytest.raises(error):
        make_client().get(server.url, extensions=extensions)
    assert server.stats().requests == ()
