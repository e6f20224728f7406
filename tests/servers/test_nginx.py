"""greenh2 against nginx: HTTP/2 and HTTP/1.1 over TLS, and HTTP/1.1 over plain TCP."""

import gevent
import pytest

import greenh2
from tests.servers.work import connections, crowd, pieces, streamed
from tests.support.daemons import Daemon, Daemons, content
from tests.support.scale import scaled

WAYS = [("h2", "HTTP/2"), ("h1", "HTTP/1.1"), ("plain", "HTTP/1.1")]


@pytest.fixture
def nginx(daemons: Daemons) -> Daemon:
    return daemons.nginx()


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_small_get(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.get(f"{getattr(nginx, way)}/small.txt")
    assert (response.status_code, response.text, response.http_version) == (200, "hello\n", version)
    assert response.headers["server"].startswith("nginx")


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_a_thousand_requests_of_fifty_greenlets_over_one_connection(
    nginx: Daemon, single: greenh2.Client, way: str
) -> None:
    responses = crowd(50, 1000, lambda: single.get(f"{getattr(nginx, way)}/small.txt"))
    assert {response.text for response in responses} == {"hello\n"}
    assert len(connections(responses)) == 1


def test_no_more_streams_than_nginx_allows(daemons: Daemons, client: greenh2.Client) -> None:
    server = daemons.nginx(http2_max_concurrent_streams=3)
    responses = crowd(30, 90, lambda: client.get(f"{server.h2}/600000.bin"))
    assert all(response.content == content(600_000) for response in responses)


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_large_body_down(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    assert client.get(f"{getattr(nginx, way)}/5000000.bin").content == content(5_000_000)


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_large_body_streamed(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    assert streamed(client, f"{getattr(nginx, way)}/5000000.bin") == content(5_000_000)


def test_eight_large_bodies_at_once_over_one_connection(nginx: Daemon, single: greenh2.Client) -> None:
    bodies = crowd(8, 16, lambda: streamed(single, f"{nginx.h2}/5000000.bin"))
    assert all(body == content(5_000_000) for body in bodies)


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_an_upload_of_known_length(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    assert client.post(f"{getattr(nginx, way)}/upload", content=b"x" * 5_000_000).status_code == 204


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_an_upload_of_unknown_length(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.post(f"{getattr(nginx, way)}/upload", content=pieces(50_000, 40))
    assert response.status_code == 204


def test_eight_uploads_at_once_over_one_connection(nginx: Daemon, single: greenh2.Client) -> None:
    responses = crowd(8, 16, lambda: single.post(f"{nginx.h2}/upload", content=b"x" * 2_000_000))
    assert {response.status_code for response in responses} == {204}
    assert len(connections(responses)) == 1


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_a_post_that_nginx_refuses_before_it_is_sent_whole(
    nginx: Daemon, client: greenh2.Client, way: str
) -> None:
    url = f"{getattr(nginx, way)}/small.txt"
    assert client.post(url, content=b"x" * 3_000_000).status_code == 405
    assert client.get(url).text == "hello\n"


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_no_request_fails_where_nginx_ends_connections_after_20(
    daemons: Daemons, client: greenh2.Client, way: str
) -> None:
    slow = "location /slow/ { rewrite ^/slow/(.*)$ /$1 break; limit_rate 1m; }"
    server = daemons.nginx(keepalive_requests=20, server=slow)
    amount = scaled(200, 2000)
    responses = crowd(16, amount, lambda: client.get(f"{getattr(server, way)}/slow/100000.bin"))
    assert all(response.content == content(100_000) for response in responses)
    assert len(connections(responses)) >= amount // 20


def test_posts_are_sent_once_where_nginx_ends_connections_after_20(
    daemons: Daemons, client: greenh2.Client
) -> None:
    server = daemons.nginx(keepalive_requests=20)
    responses = crowd(16, 200, lambda: client.post(f"{server.h2}/upload", content=b"x" * 20_000))
    assert {response.status_code for response in responses} == {204}


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_gzip(nginx: Daemon, client: greenh2.Client, way: str) -> None:
    response = client.get(f"{getattr(nginx, way)}/gzip/page.html")
    assert response.headers["content-encoding"] == "gzip"
    assert response.content == b"<p>green</p>\n" * 2000


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_head_has_a_length_and_no_body(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.head(f"{getattr(nginx, way)}/600000.bin")
    assert (response.headers["content-length"], response.content) == ("600000", b"")
    assert client.get(f"{getattr(nginx, way)}/small.txt").connection_info["reused"]


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_a_redirect_is_followed(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    response = client.get(f"{getattr(nginx, way)}/moved/small.txt", follow_redirects=True)
    assert response.text == "hello\n"
    assert [step.status_code for step in response.history] == [301]


def test_redirects_between_two_origins_over_one_connection(daemons: Daemons, single: greenh2.Client) -> None:
    last = daemons.nginx()
    first = daemons.nginx(server=f"location /away {{ return 302 {last.h2}/small.txt; }}")
    for _ in range(5):
        assert single.get(f"{first.h2}/away", follow_redirects=True).text == "hello\n"


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_what_is_not_there_is_404(nginx: Daemon, client: greenh2.Client, way: str) -> None:
    with pytest.raises(greenh2.HTTPStatusError, match="404"):
        client.get(f"{getattr(nginx, way)}/absent").raise_for_status()


@pytest.mark.parametrize(("way", "version"), WAYS)
def test_204_and_empty_bodies(nginx: Daemon, client: greenh2.Client, way: str, version: str) -> None:
    assert client.get(f"{getattr(nginx, way)}/nothing").status_code == 204
    assert client.get(f"{getattr(nginx, way)}/empty").content == b""


@pytest.mark.parametrize("way", ["h2", "h1"])
def test_the_reaper_notices_that_nginx_closed_an_idle_connection(
    daemons: Daemons, client: greenh2.Client, way: str
) -> None:
    server = daemons.nginx(keepalive_timeout="1s")
    client.get(f"{getattr(server, way)}/small.txt")
    with gevent.Timeout(15):
        while "0 open" not in client.dump():
            gevent.sleep(0.02)
    assert client.get(f"{getattr(server, way)}/small.txt").text == "hello\n"


def test_a_body_left_unread_does_not_hurt_the_others(nginx: Daemon, single: greenh2.Client) -> None:
    for _ in range(40):
        with single.stream("GET", f"{nginx.h2}/5000000.bin") as response:
            next(response.iter_bytes(1000))
    again = single.get(f"{nginx.h2}/600000.bin")
    assert again.content == content(600_000)
    assert again.connection_info["reused"]


def test_a_killed_greenlet_does_not_hurt_the_others(nginx: Daemon, single: greenh2.Client) -> None:
    for _ in range(30):
        victim = gevent.spawn(single.get, f"{nginx.h2}/5000000.bin")
        gevent.sleep(0.002)
        victim.kill()
    assert single.get(f"{nginx.h2}/600000.bin").content == content(600_000)


def test_a_certificate_of_unknown_origin_is_refused(nginx: Daemon) -> None:
    with greenh2.Client() as stranger, pytest.raises(greenh2.ConnectError, match="certificate"):
        stranger.get(nginx.h2)
