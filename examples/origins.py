"""An origin is an HTTP/2 server on loopback that remembers what it saw: the far end of the examples.

It is built of gevent and h2 alone, so that it shares no line with greenh2 and can bear witness.  It speaks just
enough HTTP/2 to answer small requests: no server to learn from.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType

import gevent
import gevent.server
import gevent.socket
import gevent.ssl
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import trustme
from gevent.lock import BoundedSemaphore

# A proxy that the environment names is for other hosts than this one.
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = f"{_direct},127.0.0.1" if _direct else "127.0.0.1"

#: How long an origin thinks about an answer to /slow (seconds).
THINKING = 0.05


class Certificates:
    """A certificate authority of our own, made up on the spot, and a server certificate for 127.0.0.1."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._server = self._authority.issue_cert("127.0.0.1")

    def for_client(self) -> ssl.SSLContext:
        """Return a context that trusts this authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def write(self, path: str) -> None:
        """Write what is to be trusted to a file, for clients that want one."""
        self._authority.cert_pem.write_to_path(path)

    def for_server(self) -> ssl.SSLContext:
        """Return a context that shows the certificate and agrees to HTTP/2, and to nothing else."""
        context: ssl.SSLContext = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])
        self._server.configure_cert(context)
        return context


@dataclass
class Visit:
    """One connection as the origin saw it; times are those of `time.monotonic()`."""

    opened: float = field(default_factory=monotonic)
    last_answer: float = 0.0
    goodbye: float | None = None  # when the client's GOAWAY came
    closed: float | None = None
    requests: int = 0
    open_streams: int = 0
    most_open_streams: int = 0


class Origin:
    """One server with a port of its own: "/slow" answers after 50 ms, others at once, as `moved` and `pages` say."""

    def __init__(self, name: str, certificates: Certificates) -> None:
        self.name = name
        #: Every connection since the list was last cleared, oldest first.
        self.visits: list[Visit] = []
        #: Paths that are answered by a redirect, and the URLs that it leads to.
        self.moved: dict[str, str] = {}
        #: Paths that are answered by a page of HTML.
        self.pages: dict[str, str] = {}
        self._server = gevent.server.StreamServer(
            ("127.0.0.1", 0), self._serve, ssl_context=certificates.for_server()
        )
        self._server.start()
        self.url = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Origin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def answer(self, path: str) -> tuple[list[tuple[str, str]], bytes]:
        """Return the header fields and the body that answer a request, after some thought if need be."""
        if path == "/slow":
            gevent.sleep(THINKING)
        if path in self.moved:
            return [(":status", "302"), ("location", self.moved[path])], b""
        if path in self.pages:
            return [(":status", "200"), ("content-type", "text/html; charset=utf-8")], self.pages[
                path
            ].encode()
        return [(":status", "200"), ("content-type", "text/plain")], f"hello from {self.name}\n".encode()

    def _serve(self, sock: gevent.socket.socket, _address: object) -> None:
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        visit = Visit()
        self.visits.append(visit)
        try:
            _Conversation(self, sock, visit).run()
        except OSError:
            pass  # the client left without a word
        finally:
            visit.closed = monotonic()


class _Conversation:
    """The server's side of one connection: this greenlet reads, and each request is answered in another."""

    def __init__(self, origin: Origin, sock: gevent.socket.socket, visit: Visit) -> None:
        self._origin = origin
        self._sock = sock
        self._visit = visit
        self._writing = BoundedSemaphore(1)
        config = h2.config.H2Configuration(client_side=False)
        self._h2 = h2.connection.H2Connection(config)

    def run(self) -> None:
        self._h2.initiate_connection()
        self._flush()
        while data := self._sock.recv(65536):
            for event in self._h2.receive_data(data):
                self._take(event)
            self._flush()

    def _take(self, event: h2.events.Event) -> None:
        visit = self._visit
        match event:
            case h2.events.RequestReceived(stream_id=int(stream_id), headers=list(headers)):
                visit.requests += 1
                visit.open_streams += 1
                visit.most_open_streams = max(visit.most_open_streams, visit.open_streams)
                gevent.spawn(self._answer, stream_id, dict(headers)[b":path"].decode())
            case h2.events.ConnectionTerminated():
                visit.goodbye = monotonic()
            case _:
                pass  # h2 itself answers SETTINGS and PING

    def _answer(self, stream_id: int, path: str) -> None:
        headers, body = self._origin.answer(path)
        self._visit.open_streams -= 1
        try:
            self._h2.send_headers(stream_id, headers)
            self._h2.send_data(stream_id, body, end_stream=True)
            self._flush()
            self._visit.last_answer = monotonic()
        except (h2.exceptions.ProtocolError, OSError):
            pass  # nobody waits for this answer any more

    def _flush(self) -> None:
        with self._writing:  # two greenlets must not write on one TLS connection at once
            if data := self._h2.data_to_send():
                self._sock.sendall(data)
