"""How sockets are made: by way of a Unix socket, from an address of one's own, with options."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import NamedTuple

from greenh2._models.settings import SocketOption
from greenh2._net.dns import Address, literal


class SocketSettings(NamedTuple):
    """What a transport was told about its sockets."""

    uds: str | None = None
    local: Address | None = None
    options: tuple[SocketOption, ...] = ()

    @classmethod
    def of(
        cls,
        uds: str | os.PathLike[str] | None = None,
        local_address: str | None = None,
        options: Iterable[SocketOption] | None = None,
    ) -> SocketSettings:
        """Return the settings that these arguments of a transport mean.

        Raises TypeError and ValueError, which name the argument, for what could never work.
        """
        if uds is not None and not isinstance(uds, (str, os.PathLike)):
            raise TypeError(f"uds is the path of a Unix socket, not {type(uds).__name__}")
        if uds is not None and not os.fspath(uds):
            raise ValueError("uds='' names no Unix socket")
        if uds is not None and local_address is not None:
            raise ValueError("uds and local_address exclude each other: a Unix socket has no IP address")
        if options is not None and not isinstance(options, Iterable):
            raise TypeError(f"socket_options is a list of tuples for setsockopt(), not {options!r}")
        checked = tuple(_checked_option(option) for option in options or ())
        return cls(None if uds is None else os.fspath(uds), _checked_local(local_address), checked)

    def fits(self, address: Address) -> bool:
        """Tell whether the address is of the family of `local_address`."""
        return self.local is None or self.local[0] == address[0]

    def prepare(self, sock: socket.socket) -> None:
        """Set the options and bind the socket.  Raises OSError that names what was refused."""
        for option in self.options:
            try:
                sock.setsockopt(*option)
            except OSError as exc:
                raise OSError(f"the socket option {option!r} was refused: {exc.strerror}") from exc
        if self.local is not None:
            try:
                sock.bind(self.local[1])
            except OSError as exc:
                raise OSError(f"local_address={self.local[1][0]!r} was refused: {exc.strerror}") from exc


def _checked_local(address: str | None) -> Address | None:
    if address is None:
        return None
    if not isinstance(address, str):
        raise TypeError(f"local_address is an IP address as a str, not {type(address).__name__}")
    if not (found := literal(address, 0)):
        raise ValueError(f"local_address={address!r} is no IP address; one with a zone is not supported")
    return found[0]


def _checked_option(option: SocketOption) -> SocketOption:
    match option:
        case (int(), int(), int() | bytes() | bytearray()) | (int(), int(), None, int()):
            return option
        case _:
            raise ValueError(
                "socket_options are tuples (level, option, value) or (level, option, None, length) as "
                f"setsockopt() takes them, not {option!r}"
            )
