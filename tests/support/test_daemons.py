"""The real servers start, serve and stop; greenh2 has no part in it."""

import http.client

import pytest

from tests.support.daemons import Daemons, content, find


def test_nginx_serves_files(daemons: Daemons) -> None:
    server = daemons.nginx()
    assert server.plain is not None
    assert _download(server.plain) == content(600_000)


def test_apache_serves_files(daemons: Daemons) -> None:
    server = daemons.apache()
    assert server.plain is not None
    assert _download(server.plain) == content(600_000)


def test_nghttpd_takes_connections(daemons: Daemons) -> None:
    assert daemons.nghttpd().h1 is None


def _download(url: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=5)
    try:
        connection.request("GET", "/600000.bin")
        with connection.getresponse() as response:
            return response.read()
    finally:
        connection.close()


def test_a_missing_server_skips_outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        find("no-such-server")


def test_a_missing_server_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it"):
        find("no-such-server")
