"""httpx2 on greenlets: patched, one Client for all of them."""

# ruff: noqa: E402  # patching comes first
from gevent import monkey

monkey.patch_all()

import ssl
from collections.abc import Iterator

import httpx2

from benchmarks.peer import HTTP1, HTTP2, PATIENCE, Site, Unable

DISTRIBUTION = MODULE = "httpx2"
PROTOCOLS = (HTTP2, HTTP1)


class Peer:
    def __init__(self, site: Site) -> None:
        if site.one_stream and site.http2:
            raise Unable("it has no bound on the streams of a connection")
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=20)  # its defaults
        if site.connections is not None:
            limits = httpx2.Limits(
                max_connections=site.connections,
                max_keepalive_connections=site.connections,
                keepalive_expiry=PATIENCE,
            )
        self._client = httpx2.Client(
            http2=site.http2,
            verify=ssl.create_default_context(cafile=site.ca_file),
            limits=limits,
            timeout=PATIENCE,
            headers=dict(site.headers),
        )

    def get(self, url: str) -> int:
        response = self._client.get(url)
        assert response.status_code == 200, response
        return len(response.content)

    def download(self, url: str) -> int:
        with self._client.stream("GET", url) as response:
            assert response.status_code == 200, response
            return sum(len(chunk) for chunk in response.iter_bytes())

    def upload(self, url: str, path: str) -> None:
        with open(path, "rb") as file:
            response = self._client.put(url, content=file)
        assert response.status_code == 204, response

    def post(self, url: str, body: Iterator[bytes] | bytes) -> None:
        response = self._client.post(url, content=body)
        assert response.status_code == 204, response

    def close(self) -> None:
        self._client.close()


def setup(site: Site) -> Peer:
    return Peer(site)
