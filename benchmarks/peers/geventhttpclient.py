"""geventhttpclient's bare HTTPClient: one client for one origin, a connection for each greenlet.

Patched, since its TLS holds up all greenlets otherwise (2.6.1).
"""

# ruff: noqa: E402  # patching comes first
from gevent import monkey

monkey.patch_all()

from collections.abc import Iterator
from typing import Any

from geventhttpclient import URL, HTTPClient

from benchmarks.peer import HTTP1, PATIENCE, Site

DISTRIBUTION = MODULE = "geventhttpclient"
PROTOCOLS = (HTTP1,)
PIECE = 65_536


class Peer:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._clients: dict[tuple[str, int | None], HTTPClient] = {}

    def _open(self, method: str, url: str, body: Any = b"") -> Any:  # its own types are not exported
        target = URL(url)
        origin = (target.host, target.port)
        client = self._clients.get(origin)
        if client is None:
            client = self._clients[origin] = HTTPClient(
                target.host,
                target.port,
                ssl=True,
                ssl_options={"ca_certs": self._site.ca_file},
                concurrency=self._site.connections or 100,
                connection_timeout=PATIENCE,
                network_timeout=PATIENCE,
                headers=dict(self._site.headers),
            )
        return client.request(method, target.request_uri, body)

    def get(self, url: str) -> int:
        response = self._open("GET", url)
        assert response.status_code == 200, response
        return len(response.read())

    def download(self, url: str) -> int:
        response = self._open("GET", url)
        assert response.status_code == 200, response
        length = 0
        while piece := response.read(PIECE):
            length += len(piece)
        return length

    def upload(self, url: str, path: str) -> None:
        with open(path, "rb") as file:
            response = self._open("PUT", url, file)
            response.read()
        assert response.status_code == 204, response

    def post(self, url: str, body: Iterator[bytes] | bytes) -> None:
        response = self._open("POST", url, body)
        response.read()
        assert response.status_code == 204, response

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def setup(site: Site) -> Peer:
    return Peer(site)
