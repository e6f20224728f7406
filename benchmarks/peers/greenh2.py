"""greenh2 as it is meant to be used: not patched, one Client for all greenlets."""

from collections.abc import Iterator

import greenh2
from benchmarks.peer import HTTP1, HTTP2, PATIENCE, Site

DISTRIBUTION = MODULE = "greenh2"
PROTOCOLS = (HTTP2, HTTP1)


class Peer:
    def __init__(self, site: Site) -> None:
        limits = greenh2.Limits()
        if site.connections is not None:
            limits = greenh2.Limits(
                max_connections=site.connections,
                max_keepalive_connections=site.connections,
                max_streams_per_connection=1 if site.one_stream else None,
                keepalive_expiry=PATIENCE,
            )
        self._client = greenh2.Client(
            verify=site.ca_file, limits=limits, timeout=PATIENCE, headers=site.headers
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
