"""niquests on greenlets: patched, one Session for all of them.

It needs an environment of its own, since it replaces the urllib3 of requests.
"""

# ruff: noqa: E402  # patching comes first
from gevent import monkey

monkey.patch_all()

from collections.abc import Iterator

import niquests

from benchmarks.peer import HTTP1, HTTP2, PATIENCE, Site, Unable

DISTRIBUTION = MODULE = "niquests"
PROTOCOLS = (HTTP2, HTTP1)
PIECE = 65_536


class Peer:
    def __init__(self, site: Site) -> None:
        if site.one_stream and site.http2:
            raise Unable("it has no bound on the streams of a connection")
        if site.origins > 1:
            raise Unable("it has no bound on connections over all origins")
        if site.connections is None:
            self._session = niquests.Session(disable_http3=True)
        else:
            self._session = niquests.Session(disable_http3=True, pool_maxsize=site.connections)
        self._session.verify = site.ca_file
        self._session.headers.update(site.headers)

    def get(self, url: str) -> int:
        response = self._session.get(url, timeout=PATIENCE)
        assert response.status_code == 200, response
        return len(response.content or b"")

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
