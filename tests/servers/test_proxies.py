"""greenh2 through real proxies: tinyproxy, Apache behind TLS of its own, and microsocks."""

import gevent
import pytest

import greenh2
from greenh2 import ProxyError
from tests.servers.work import crowd
from tests.support.certificates import Certificates
from tests.support.clients import MakeClient, make_client
from tests.support.daemons import Daemons, ProxyDaemon, content
from tests.support.leaks import open_descriptors
from tests.support.origins import Origin, OriginFactory

__all__ = ["make_client"]

CREDENTIALS = ("user", "hidden")
GIVEN = "user:hidden"


@pytest.fixture(params=["tinyproxy", "apache", "socks5", "socks5h"])
def proxy(request: pytest.FixtureRequest, daemons: Daemons) -> str:
    """The URL of a proxy, each kind in turn."""
    match request.param:
        case "tinyproxy":
            return daemons.tinyproxy(CREDENTIALS).at("http", GIVEN)
        case "apache":
            return daemons.apache_proxy().at("https")
        case scheme:
            return daemons.microsocks(CREDENTIALS).at(scheme, GIVEN)


@pytest.fixture(params=["h2", "http1", "plain"])
def server(request: pytest.FixtureRequest, origin: OriginFactory) -> Origin:
    """An origin, each kind in turn."""
    if request.param == "plain":
        return origin(tls=False, alpn=("http/1.1",))
    return origin(alpn=("h2",) if request.param == "h2" else ("http/1.1",))


def test_requests_of_every_size_pass_and_no_secret_reaches_the_origin(
    proxy: str, server: Origin, make_client: MakeClient
) -> None:
    client = make_client(proxy=proxy)
    assert client.get(server.url).text == "hello\n"
    assert len(client.get(f"{server.url}/bytes/3000000").content) == 3_000_000
    # tinyproxy hangs up after each response and does not say so; a POST that meets the end is not sent again.
    assert client.put(f"{server.url}/echo", content=content(1_000_000)).content == content(1_000_000)
    for request in server.stats().requests:
        assert "proxy-authorization" not in {name.lower() for name, _ in request.headers}


def test_a_crowd_shares_what_was_made(proxy: str, server: Origin, make_client: MakeClient) -> None:
    client = make_client(proxy=proxy, limits=4, timeout=20.0)
    responses = crowd(12, 40, lambda: client.get(f"{server.url}/bytes/2000"))
    assert {len(response.content) for response in responses} == {2000}
    if server.scheme == "https":  # what a proxy keeps for forwarding is its own affair
        assert len(server.stats().connections) <= 4


def test_a_response_left_early_leaves_nothing(proxy: str, server: Origin, make_client: MakeClient) -> None:
    client = make_client(proxy=proxy, limits=1)
    for _ in range(3):
        with client.stream("GET", f"{server.url}/bytes/3000000") as response:
            next(response.iter_raw())
    assert client.get(server.url).text == "hello\n"
    before = len(open_descriptors())
    client.close()
    assert len(open_descriptors()) < before


def test_requests_killed_on_their_way_through_a_proxy_leave_nothing(
    proxy: str, server: Origin, make_client: MakeClient
) -> None:
    client = make_client(proxy=proxy, limits=2, timeout=20.0)

    def work(number: int) -> None:
        for step in range(8):
            job = gevent.spawn(client.get, f"{server.url}/bytes/50000")
            job.join((number * 8 + step) % 13 * 0.002)
            job.kill()

    gevent.joinall([gevent.spawn(work, number) for number in range(5)], raise_error=True)
    assert client.get(server.url).text == "hello\n"
    assert "0 streams, 0 waiting" in repr(client)


def test_a_proxy_that_is_restarted_is_used_again(
    daemons: Daemons, origin: OriginFactory, make_client: MakeClient
) -> None:
    proxy, server = daemons.tinyproxy(), origin()
    client = make_client(proxy=proxy.at("http"), limits=1)
    client.get(server.url)
    proxy.stop()
    with pytest.raises(greenh2.ConnectError, match="could not connect to the proxy"):
        client.get(server.url)
    proxy.restart()
    assert client.get(server.url).text == "hello\n"


@pytest.mark.parametrize("credentials", ["", "user:wrong"])
@pytest.mark.parametrize("kind", ["tinyproxy", "microsocks"])
def test_credentials_that_are_missing_or_wrong_are_told(
    daemons: Daemons, origin: OriginFactory, make_client: MakeClient, kind: str, credentials: str
) -> None:
    started: ProxyDaemon = getattr(daemons, kind)(CREDENTIALS)
    url = started.at("http" if kind == "tinyproxy" else "socks5h", credentials)
    advice = "not accept the user name and password" if credentials else "auth="
    with pytest.raises(ProxyError, match=advice) as caught:
        make_client(proxy=url).get(origin().url)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("kind", ["tinyproxy", "microsocks", "apache_proxy"])
def test_an_origin_that_is_not_there_is_told(
    daemons: Daemons, origin: OriginFactory, make_client: MakeClient, kind: str
) -> None:
    started: ProxyDaemon = getattr(daemons, kind)()
    scheme = {"tinyproxy": "http", "microsocks": "socks5h", "apache_proxy": "https"}[kind]
    server = origin()
    server.stop()
    with pytest.raises(ProxyError, match="opens no tunnel to localhost"):
        make_client(proxy=started.at(scheme)).get(server.url)


def test_the_environment_leads_there_and_no_proxy_past_it(
    daemons: Daemons, origin: OriginFactory, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = daemons.tinyproxy(), origin()
    monkeypatch.setenv("HTTPS_PROXY", proxy.at("http"))
    monkeypatch.setenv("NO_PROXY", "a.localhost, 127.0.0.0/8")
    with greenh2.Client(verify=certificates.ca_file) as client:
        found = [
            client.get(server.at(host)).extensions["connection_info"].get("proxy")
            for host in ("localhost", "a.localhost", "127.0.0.1")
        ]
    assert found == [proxy.at("http"), None, None]
    assert proxy.text().count("CONNECT localhost:") == 1
