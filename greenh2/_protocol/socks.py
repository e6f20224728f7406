"""SOCKS5 as a client speaks it to a proxy (RFC 1928), with user name and password or without (RFC 1929).

socksio knows the messages, one at a time and whole; here bytes are gathered until they are.
"""

from __future__ import annotations

from greenh2._errors import ProxyError
from greenh2._models.proxy import Proxy

try:
    from socksio import (
        ProtocolError,
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5AuthReply,
        SOCKS5Command,
        SOCKS5CommandRequest,
        SOCKS5Connection,
        SOCKS5Reply,
        SOCKS5ReplyCode,
        SOCKS5UsernamePasswordRequest,
    )
except ImportError as exc:
    raise ImportError("SOCKS proxies need the package socksio: pip install 'greenh2[socks]'") from exc

_METHODS = {
    SOCKS5AuthMethod.NO_AUTH_REQUIRED: "none",
    SOCKS5AuthMethod.USERNAME_PASSWORD: "user name and password",
}
_VERSION = 5
#: Bytes of an address by its type; a name says its own length in a byte of its own.
_ADDRESS_LENGTHS = {1: 4, 4: 16}
_NAME = 3
#: The target may be reached by another of its addresses.
_ELSEWHERE = frozenset(
    (
        SOCKS5ReplyCode.NETWORK_UNREACHABLE,
        SOCKS5ReplyCode.HOST_UNREACHABLE,
        SOCKS5ReplyCode.CONNECTION_REFUSED,
        SOCKS5ReplyCode.TTL_EXPIRED,
        SOCKS5ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED,
        SOCKS5ReplyCode.GENERAL_SERVER_FAILURE,
    )
)


class Socks:
    """One request to a proxy for a connection to a host, a name or an address, and a port.

    The host may be None at first: then it is asked for by `wants_host`, once the proxy has let us in.
    """

    #: A refusal is one message, and nothing follows.
    refusal: ProxyError | None = None

    def __init__(self, proxy: Proxy, host: str | None, port: int) -> None:
        self._proxy = proxy
        self._host = host
        self._port = port
        self._socks = SOCKS5Connection()
        #: Whether nothing goes on before `ask_for()` names the host.
        self.wants_host = False
        wanted = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
        if proxy.auth is not None:
            wanted.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
        self._offered = wanted
        self._socks.send(SOCKS5AuthMethodsRequest(wanted))
        self._asked = False
        #: Whether the proxy has refused this address, and may reach another one of the same name.
        self.elsewhere = False
        self._in = b""
        self.rest = b""

    def outgoing(self) -> bytes:
        return self._socks.data_to_send()

    def receive(self, data: bytes) -> bool:
        if not data:
            raise ProxyError(f"the proxy {self._proxy.origin} ended the connection before the tunnel stood")
        self._in += data
        return self._go_on()

    def _go_on(self) -> bool:
        """Take the messages that are whole, as far as they have been asked for; tell whether the tunnel stands."""
        while not self.wants_host and (length := self._length()) is not None and len(self._in) >= length:
            message, self._in = self._in[:length], self._in[length:]
            try:
                if self._asked and message[1]:
                    raise self._refused(message)
                reply = self._socks.receive_data(message)
                if isinstance(reply, SOCKS5AuthReply) and message[0] != _VERSION:  # socksio looks at the rest
                    raise ProtocolError(f"its version is {message[0]}")
                if self._take(reply):
                    self.rest = self._in
                    return True
            except ProtocolError as exc:
                raise ProxyError(f"the proxy {self._proxy.origin} does not speak SOCKS5: {exc}") from exc
        return False

    def _length(self) -> int | None:
        """Return the length of the message under way, None while that is not known."""
        if not self._asked:
            return 2
        if len(self._in) > 1 and self._in[1]:
            return 2  # a refusal: what address stands behind it, if any, means nothing
        if len(self._in) < 5:
            return None
        kind = self._in[3]
        address = 1 + self._in[4] if kind == _NAME else _ADDRESS_LENGTHS.get(kind, 0)
        return 4 + address + 2

    def _take(self, reply: object) -> bool:
        match reply:
            case SOCKS5AuthReply(method=method):
                self._authenticate(method)
            case SOCKS5Reply():
                return True
            case _ if reply.success:  # type: ignore[attr-defined]  # a class that socksio does not export
                self._ask()
            case _:
                raise ProxyError(
                    f"the proxy {self._proxy.origin} does not accept the user name and password that it was given"
                )
        return False

    def _refused(self, message: bytes) -> ProxyError:
        """Return the error that a refusal stands for.  Raises ProtocolError for what is none."""
        if message[0] != _VERSION:
            raise ProtocolError(f"its version is {message[0]}")
        try:
            code = SOCKS5ReplyCode(message[1:])
        except ValueError as exc:
            raise ProtocolError(f"its reply is {message[1]}") from exc
        self.elsewhere = code in _ELSEWHERE
        reason = code.name.replace("_", " ").lower()
        return ProxyError(
            f"the proxy {self._proxy.origin} opens no tunnel to {self._host} port {self._port}: {reason}"
        )

    def _authenticate(self, method: SOCKS5AuthMethod) -> None:
        if method not in self._offered:
            advice = (
                ""
                if self._proxy.auth
                else "; give it a user name and a password: Proxy(url, auth=(user, password))"
            )
            offered = ", ".join(_METHODS[one] for one in self._offered)
            raise ProxyError(
                f"the proxy {self._proxy.origin} accepts no way to authenticate that it was offered ({offered}){advice}"
            )
        if method is SOCKS5AuthMethod.USERNAME_PASSWORD:
            assert self._proxy.auth is not None
            user, password = self._proxy.auth
            self._socks.send(SOCKS5UsernamePasswordRequest(user.encode("utf-8"), password.encode("utf-8")))
        else:
            self._ask()

    def _ask(self) -> None:
        if self._host is None:
            self.wants_host = True
        else:
            self._name(self._host)

    def ask_for(self, host: str) -> bool:
        """Name the host, when it is wanted; tell whether the tunnel stands, as `receive()` does."""
        self._name(host)
        return self._go_on()

    def _name(self, host: str) -> None:
        self._host, self.wants_host, self._asked = host, False, True
        self._socks.send(SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, (host, self._port)))
