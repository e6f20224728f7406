"""libcurl's multi interface through pycurl, without greenlets: how far a client written in C gets."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from time import perf_counter

import pycurl

from benchmarks.meter import Meter
from benchmarks.peer import HTTP1, HTTP2, PATIENCE, Site

DISTRIBUTION = MODULE = "pycurl"
PROTOCOLS = (HTTP2, HTTP1)
WAIT = 1.0


class Peer:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._multi = pycurl.CurlMulti()
        multiplex = site.http2 and not site.one_stream
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX if multiplex else pycurl.PIPE_NOTHING)
        if site.connections is not None:
            self._multi.setopt(pycurl.M_MAXCONNECTS, site.connections)
            self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, site.connections)
        self._easy = self._handle()

    def _handle(self) -> pycurl.Curl:
        easy = pycurl.Curl()
        easy.setopt(pycurl.CAINFO, self._site.ca_file)
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.TIMEOUT, int(PATIENCE))
        version = pycurl.CURL_HTTP_VERSION_2TLS if self._site.http2 else pycurl.CURL_HTTP_VERSION_1_1
        easy.setopt(pycurl.HTTP_VERSION, version)
        if self._site.http2 and not self._site.one_stream:
            easy.setopt(pycurl.PIPEWAIT, 1)
        easy.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in self._site.headers.items()])
        return easy

    def get_many(self, urls: Sequence[str], requests: int, width: int, meter: Meter) -> None:
        multi = self._multi
        targets = iter([urls[number % len(urls)] for number in range(requests)])
        idle = [self._handle() for _ in range(width)]
        bodies: dict[pycurl.Curl, tuple[BytesIO, float]] = {}
        done = 0
        with meter.running():
            while done < requests:
                for url in islice(targets, len(idle)):
                    easy = idle.pop()
                    body = BytesIO()
                    easy.setopt(pycurl.URL, url)
                    easy.setopt(pycurl.WRITEFUNCTION, body.write)
                    bodies[easy] = (body, perf_counter())
                    multi.add_handle(easy)
                multi.perform()
                finished, failed = self._read()
                if failed:
                    raise OSError(f"libcurl failed: {failed[0][1:]}")
                for easy in finished:
                    body, started = bodies.pop(easy)
                    assert easy.getinfo(pycurl.RESPONSE_CODE) == 200 and body.getvalue()
                    meter.note(perf_counter() - started)
                    multi.remove_handle(easy)
                    idle.append(easy)
                done += len(finished)
                if not finished:
                    multi.select(WAIT)
        for easy in idle:
            easy.close()

    def _read(self) -> tuple[list[pycurl.Curl], list[tuple[pycurl.Curl, int, str]]]:
        left, finished, failed = self._multi.info_read()
        while left:
            left, more, worse = self._multi.info_read()
            finished += more
            failed += worse
        return finished, failed

    def download(self, url: str) -> int:
        length = 0

        def take(chunk: bytes) -> None:
            nonlocal length
            length += len(chunk)

        self._easy.setopt(pycurl.URL, url)
        self._easy.setopt(pycurl.WRITEFUNCTION, take)
        self._easy.perform()
        assert self._easy.getinfo(pycurl.RESPONSE_CODE) == 200
        return length

    def upload(self, url: str, path: str) -> None:
        self._easy.setopt(pycurl.URL, url)
        self._easy.setopt(pycurl.UPLOAD, 1)
        with open(path, "rb") as file:
            self._easy.setopt(pycurl.READDATA, file)
            self._easy.setopt(pycurl.INFILESIZE_LARGE, file.seek(0, 2))
            file.seek(0)
            self._easy.perform()
        assert self._easy.getinfo(pycurl.RESPONSE_CODE) == 204

    def close(self) -> None:
        self._easy.close()
        self._multi.close()


def setup(site: Site) -> Peer:
    return Peer(site)
