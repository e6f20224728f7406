"""The types of what a client is told about its network, which its signature names before any network is loaded."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from types import ModuleType
from typing import Literal

#: ``cert=``: a file with certificate and key, or (certificate, key), or (certificate, key, password).
CertTypes = str | PathLike[str] | tuple[str, str] | tuple[str, str, str]
#: ``http2=``: offer it over TLS, never, or speak it at once (also without TLS).
Http2Choice = bool | Literal["prior-knowledge"]
#: The arguments of `socket.setsockopt()`: (level, option, value), or (level, option, None, length).
SocketOption = tuple[int, int, int | bytes | bytearray] | tuple[int, int, None, int]


class Later(ModuleType):
    """A module that is imported when something of it is asked for: who evaluates an annotation does so."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)
