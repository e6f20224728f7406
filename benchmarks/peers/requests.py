"""requests on greenlets: patched, one Session for all of them, a pool as wide as their number."""

# ruff: noqa: E402  # patching comes first
from gevent import monkey

monkey.patch_all()

from collections.abc import Iterator

import requests
from requests.adapters import HTTPAdapter

from benchmarks.peer import HTTP1, PATIENCE, Site

DISTRIBUTION = MODULE = "requests"
PROTOCOLS = (HTTP1,)
PIECE = 65_536


class Peer:
    def __init__(self, site: Site) -> None:
        self._session = requests.Session()
        self._session.verify = site.ca_file
        self._session.headers.update(site.headers)
        self._session.mount("https://", HTTPAdapter(pool_maxsize=site.connections or 100))

    def get(self, url: str) -> int:
        response = self._session.get(url, timeout=PATIENCE)
        assert response.status_code == 200, response
        return len(response.content)

    def download(self, url: str) -> int:
        with self._session.get(url, timeout=PATIENCE, stream=True) as response:
            assert response.status_code == 200, response
            return sum(len(chunk) for chunk in response.iter_content(PIECE))

    def upload(self, url: str, path: str) -> None:
        with open(path, "rb") as file:
            response = self._session.put(url, data=file, timeout=PATIENCE)
        assert response.status_code == 204, response

    def post(self, url: str, body: Iterator[bytes] | bytes) -> None:
        response = self._session.post(url, data=body, timeout=PATIENCE)
        assert response.status_code == 204, response

    def close(self) -> None:
        self._session.close()


def setup(site: Site) -> Peer:
    return Peer(site)
