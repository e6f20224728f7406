"""greenh2 against Apache httpd with mod_http2: HTTP/2 and HTTP/1.1 over TLS, and HTTP/1.1 over plain TCP."""

import gevent
import pytest

import greenh2
from tests.servers.work import connections, crowd, streamed
from tests.support.daemons import Daemon, Daemons, content

WAYS = [("h2", "HTTP/2"), ("h1", "HTTP/1.1"), ("plain", "HTTP/1.1")]


@pytest.fixture
def apache(daemons: Daemons) -> Daemon:
    return daemons.apache()


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_small_get(apache: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.get(f"{getattr(apache, way)}/small.txt")
    assert (response.status_code, response.text, response.http_version) == (200, "hello\n", version)
    assert response.headers["server"].startswith("Apache")


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_a_thousand_requests_of_fifty_greenlets_over_one_connection(
    apache: Daemon, single: greenh2.Client, way: str
) -> None:
    responses = crowd(50, 1000, lambda: single.get(f"{getattr(apache, way)}/small.txt"))
    assert {response.text for response in responses} == {"hello\n"}
    assert len(connections(responses)) == 1


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_large_body_streamed(apache: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    assert streamed(client, f"{getattr(apache, way)}/5000000.bin") == content(5_000_000)


def test_eight_large_bodies_at_once_over_one_connection(apache: Daemon, single: greenh2.Client) -> None:
    bodies = crowd(8, 16, lambda: streamed(single, f"{apache.h2}/5000000.bin"))
    assert all(body == content(5_000_000) for body in bodies)


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_refused_upload_leaves_the_client_usable(
    apache: Daemon, client: greenh2.Client, way: str, version: str
) -> None:
    url = f"{getattr(apache, way)}/small.txt"
    assert client.put(url, content=b"x" * 2_000_000).status_code == 405
    assert client.get(url).text == "hello\n"


def test_none_of_400_requests_fails_where_apache_ends_connections_after_20(
    daemons: Daemons, client: greenh2.Client
) -> None:
    server = daemons.apache(server="MaxKeepAliveRequests 20")
    responses = crowd(16, 400, lambda: client.get(f"{server.h1}/600000.bin"))
    assert all(response.content == content(600_000) for response in responses)
    assert len(connections(responses)) >= 20


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_gzip(apache: Daemon, client: greenh2.Client, way: str) -> None:
    response = client.get(f"{getattr(apache, way)}/gzip/page.html")
    assert response.headers["content-encoding"] == "gzip"
    assert response.content == b"<p>green</p>\n" * 2000


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_head_has_a_length_and_no_body(
    apache: Daemon, client: greenh2.Client, way: str, version: str
) -> None:
    response = client.head(f"{getattr(apache, way)}/600000.bin")
    assert (response.headers["content-length"], response.content) == ("600000", b"")


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_redirect_is_followed(apache: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.get(f"{getattr(apache, way)}/moved/small.txt", follow_redirects=True)
    assert response.text == "hello\n"
    assert [step.status_code for step in response.history] == [301]


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_what_is_not_there_is_404(apache: Daemon, client: greenh2.Client, way: str) -> None:
    assert client.get(f"{getattr(apache, way)}/absent").status_code == 404


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_the_reaper_notices_that_apache_closed_an_idle_connection(
    daemons: Daemons, client: greenh2.Client, way: str
) -> None:
    server = daemons.apache(server="KeepAliveTimeout 1")
    client.get(f"{getattr(server, way)}/small.txt")
    with gevent.Timeout(15):
        while "0 open" not in client.dump():
            gevent.sleep(0.02)
    assert client.get(f"{getattr(server, way)}/small.txt").text == "hello\n"
