"""geventhttpclient's Session, which is used like that of requests: one for all greenlets.

Patched, since its TLS holds up all greenlets otherwise (2.6.1).
"""

# ruff: noqa: E402  # patching comes first
from gevent import monkey

monkey.patch_all()

from collections.abc import Iterator
from typing import Any

from geventhttpclient import Session

from benchmarks.peer import HTTP1, PATIENCE, Site

DISTRIBUTION = MODULE = "geventhttpclient"
PROTOCOLS = (HTTP1,)
PIECE = 65_536


class Peer:
    def __init__(self, site: Site) -> None:
        self._session: Any = Session(  # its methods are typed only in part
            headers=dict(site.headers),
            ssl_options={"ca_certs": site.ca_file},
            concurrency=site.connections or 100,
            connection_timeout=PATIENCE,
            network_timeout=PATIENCE,
        )

    def get(self, url: str) -> int:
        response = self._session.get(url)
        assert response.status_code == 200, response
        return len(response.content)

    def download(self, url: str) -> int:
        response = self._session.get(url, stream=True)
        assert response.status_code == 200, response
        return sum(len(chunk) for chunk in response.iter_content(PIECE))

    def upload(self, url: str, path: str) -> None:
        with open(path, "rb") as file:
            response = self._session.put(url, data=file)
        assert response.status_code == 204, response

    def post(self, url: str, body: Iterator[bytes] | bytes) -> None:
        response = self._session.post(url, data=body)
        assert response.status_code == 204, response

    def close(self) -> None:
        self._session.close()


def setup(site: Site) -> Peer:
    return Peer(site)
