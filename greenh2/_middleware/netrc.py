"""NetRCAuth looks up user name and password for each host in a netrc file."""

from __future__ import annotations

from os import PathLike, fspath

from greenh2._middleware.auth import Auth, AuthFlow, BasicAuth
from greenh2._models.request import Request


class NetRCAuth(Auth):
    """Send the user name and password that a netrc file has for the host of the request, by BasicAuth.

    The file is read once, here: `~/.netrc` unless another one is named.  Hosts that it does not name, and that
    its `default` entry does not stand for, are sent none.  Raises FileNotFoundError, and netrc.NetrcParseError
    (a SyntaxError) for a file that cannot be understood or may be read by others.
    """

    def __init__(self, file: str | PathLike[str] | None = None) -> None:
        import netrc

        self._netrc = netrc.netrc(None if file is None else fspath(file))

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield the request, once, with an Authorization header if the file names its host."""
        found = self._netrc.authenticators(request.url.host)
        if found is None or not found[2]:
            yield request
        else:
            yield from BasicAuth(found[0] or "", found[2]).auth_flow(request)

    def __repr__(self) -> str:
        return "<NetRCAuth>"
