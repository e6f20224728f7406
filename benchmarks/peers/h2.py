"""h2's state machine alone, out of the box, against another in memory: the client's half, without TLS or sockets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived

from benchmarks.meter import Meter
from benchmarks.peer import HTTP2, Site, Unable

DISTRIBUTION = "h2"
MODULE = "h2.connection"
PROTOCOLS = (HTTP2,)
BODY = b"x" * 1_000
ANSWER = [
    (":status", "200"),
    ("server", "nginx"),
    ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("content-type", "application/octet-stream"),
    ("content-length", str(len(BODY))),
    ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("etag", '"65920080-3e8"'),
    ("accept-ranges", "bytes"),
]


class Peer:
    def __init__(self, site: Site) -> None:
        if not site.http2:
            raise Unable("it speaks HTTP/2 alone")
        self._client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._client.initiate_connection()
        self._client.increment_flow_control_window(2**24)  # as clients do, so that credits are rare
        self._server.initiate_connection()
        for _ in range(2):
            self._server.receive_data(self._client.data_to_send())
            self._client.receive_data(self._server.data_to_send())

    def get_many(self, urls: Sequence[str], requests: int, width: int, meter: Meter) -> None:
        width = min(width, 64)  # a server's h2 allows 100 streams
        if not urls[0].endswith(f"/{len(BODY)}.bin") or len(urls) > 1:
            raise Unable("only one origin and a body of 1 kB are in its memory")
        target = urlsplit(urls[0])
        head = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", target.netloc),
            (":path", target.path),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"),
            ("user-agent", "h2"),
        ]
        client, server = self._client, self._server
        numbers = iter(range(requests))
        while batch := len(list(islice(numbers, width))):
            streams = []
            with meter.running():
                for _ in range(batch):
                    stream = client.get_next_available_stream_id()
                    client.send_headers(stream, head, end_stream=True)
                    streams.append(stream)
                sent = client.data_to_send()
            server.receive_data(sent)
            for stream in streams:
                server.send_headers(stream, ANSWER)
                server.send_data(stream, BODY, end_stream=True)
            answered = server.data_to_send()
            with meter.running():
                for event in client.receive_data(answered):
                    if isinstance(event, DataReceived):
                        client.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                sent = client.data_to_send()
            server.receive_data(sent)

    def close(self) -> None:
        pass


def setup(site: Site) -> Peer:
    return Peer(site)
