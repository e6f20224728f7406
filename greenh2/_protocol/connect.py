"""CONNECT, as a client says it to a proxy, and what is made of the reply (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import re
from typing import Protocol as Interface

import h11

from greenh2._errors import ProxyError
from greenh2._models.proxy import Proxy
from greenh2._protocol.http1 import MAX_INTERIM
from greenh2._protocol.plain import MAX_FIELD_LINES

#: The most that the head of a reply may take (bytes).
MAX_REPLY = 64 * 1024
#: How much of a refusal's body is looked at (bytes), and how much of that is told (characters).
_LOOKED_AT = 1024
_TOLD = 200
#: Values of headers that are shorter may stand in any text (bytes).
_SHORTEST_SECRET = 8
_MARKUP = re.compile(rb"<[^>]*>?")


class TunnelTalk(Interface):
    """What is said to a proxy until the tunnel stands; it knows bytes, and no socket."""

    #: What the proxy has refused with, while more of its reasons may follow.
    refusal: ProxyError | None
    #: What came behind the last word of the proxy: the first of what the tunnel carries.
    rest: bytes

    @property
    def wants_host(self) -> bool:
        """Whether nothing goes on before `ask_for()` names the host."""

    def ask_for(self, host: str) -> bool:
        """Name the host, when it is wanted; tell whether the tunnel stands, as `receive()` does."""

    def outgoing(self) -> bytes:
        """Return what is to be written, once."""

    def receive(self, data: bytes) -> bool:
        """Take bytes, ``b""`` at the end, and tell whether the tunnel stands.  Raises ProxyError when it will not."""


class Connect:
    """One CONNECT to a proxy for an authority ("example.org:443")."""

    wants_host = False

    def __init__(self, proxy: Proxy, authority: str) -> None:
        self._proxy = proxy
        self._authority = authority
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_REPLY)
        target = authority.encode("ascii")
        fields = list(proxy.fields)
        if not any(name.lower() == b"host" for name, _ in fields):
            fields.insert(0, (b"Host", target))
        self._out = self._h11.send(h11.Request(method=b"CONNECT", target=target, headers=fields)) or b""
        self._out += self._h11.send(h11.EndOfMessage()) or b""
        self._interim = 0
        self._body = b""
        self._answer: h11.Response | None = None
        self.refusal: ProxyError | None = None
        self.rest = b""

    def ask_for(self, host: str) -> bool:
        """Do nothing: the host was named at once."""
        return False

    def outgoing(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def receive(self, data: bytes) -> bool:
        try:
            self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    return False
                if self._take(event):
                    return True
        except h11.RemoteProtocolError as exc:
            if self.refusal is not None:
                raise self.refusal from exc
            raise ProxyError(self._why(data, exc)) from exc

    def _why(self, data: bytes, exc: h11.RemoteProtocolError) -> str:
        if data:
            return f"the proxy {self._proxy.origin} answered CONNECT with what is no HTTP/1.1: {exc}"
        return self._ended

    @property
    def _ended(self) -> str:
        return f"the proxy {self._proxy.origin} ended the connection before it answered CONNECT"

    def _take(self, event: object) -> bool:
        match event:
            case h11.InformationalResponse():
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    raise h11.RemoteProtocolError(f"more than {MAX_INTERIM} interim (1xx) responses")
            case h11.Response():
                return self._take_head(event)
            case h11.Data(data=data):
                self._body += bytes(data[: _LOOKED_AT - len(self._body)])
                self.refusal = self._refused()
                if len(self._body) == _LOOKED_AT:
                    raise self.refusal
            case _:  # the end of a refusal, or of the connection
                raise self.refusal or ProxyError(self._ended)
        return False

    def _take_head(self, answer: h11.Response) -> bool:
        lines = answer.headers.raw_items()
        if len(lines) > MAX_FIELD_LINES or sum(len(name) + len(value) for name, value in lines) > MAX_REPLY:
            raise h11.RemoteProtocolError(f"{len(lines)} field lines, or more than {MAX_REPLY} bytes of them")
        if 200 <= answer.status_code < 300:
            self.rest = bytes(self._h11.trailing_data[0])
            return True
        self._answer = answer
        self.refusal = self._refused()
        return False

    def _refused(self) -> ProxyError:
        assert self._answer is not None
        status = f"{self._answer.status_code} {_printable(self._answer.reason)}".rstrip()
        message = f"the proxy {self._proxy.origin} opens no tunnel to {self._authority}: {status}"
        if body := _printable(_MARKUP.sub(b" ", self._hushed(self._body))):
            message += f" ({body[:_TOLD]}{'...' if len(body) > _TOLD else ''})"
        if self._answer.status_code in (401, 407):
            message += f"; {self._advice()}"
        return ProxyError(message)

    def _hushed(self, body: bytes) -> bytes:
        """Take out what a proxy may repeat of our secrets: some show the whole request."""
        secrets = [word for _, value in self._proxy.fields for word in (value, value.partition(b" ")[2])]
        secrets = [word for word in secrets if len(word) >= _SHORTEST_SECRET]
        if self._proxy.auth is not None and self._proxy.auth[1]:
            secrets.append(self._proxy.auth[1].encode("utf-8"))
        secrets.sort(key=len, reverse=True)
        hushed = body
        for secret in secrets:
            hushed = hushed.replace(secret, b"[secure]")
        if secrets and len(body) == _LOOKED_AT:  # which may have cut one in two
            hushed = hushed[: -len(secrets[0])]
        return hushed

    def _advice(self) -> str:
        if self._proxy.auth is not None:
            return "it does not accept the user name and password that it was given"
        return (
            "give it a user name and a password: proxy='http://user:password@host:port', or "
            "Proxy(url, auth=(user, password))"
        )


def _printable(data: bytes) -> str:
    text = " ".join(data.decode("utf-8", "replace").split())
    return "".join(char for char in text if char.isprintable())
