"""What a client was told about TLS: whom to trust, what to show, which protocols to offer.

Everything here is known before the first handshake.  What needs the module ssl is in `tls`, which is loaded with it
when a context is made: plain connections never want it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from greenh2._errors import ConnectError

if TYPE_CHECKING:
    import ssl

#: ``verify=``: trust what the system trusts.
SYSTEM = "system"


class TlsSettings(NamedTuple):
    """What a Client was told about TLS; ``context()`` is made at first use."""

    verify: ssl.SSLContext | str | bool = True
    cert: tuple[str, ...] | None = None
    trust_env: bool = True
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    #: What the files that are named looked like when the Client was made.
    stamps: tuple[Stamp, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Return the shared context for these settings.  May block the hub for some 30 ms, once.

        Raises ConnectError when a file does not hold what it should.
        """
        if not isinstance(self.verify, (str, bool)):
            self.verify.set_alpn_protocols(list(self.alpn))
            return self.verify
        from greenh2._net import tls

        return self._made(tls.shared_context, self.stamps)

    def new_context(self) -> ssl.SSLContext:
        """Return a context of one's own for these settings; otherwise as `context()`."""
        from greenh2._net import tls

        return self._made(tls.new_context)

    def stamped(self) -> TlsSettings:
        """Return these settings for the files as they are now: a context is shared as long as they stay the same."""
        named = (*(self.cert or ())[:2], *self._environment()[:2])
        if isinstance(self.verify, str) and self.verify != SYSTEM:
            named = (*named, self.verify)
        return self._replace(stamps=tuple([stamp(path) for path in named if path is not None]))

    def _made(self, make: Callable[..., ssl.SSLContext], *stamps: object) -> ssl.SSLContext:
        try:
            return make(self.verify, self.cert, self._environment(), self.alpn, *stamps)
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            raise ConnectError(
                f"verify={self.verify!r} and cert={self._cert_names} cannot be used: {exc}"
            ) from exc

    @property
    def trusts_anybody(self) -> bool:
        """Whether no certificate is verified."""
        if isinstance(self.verify, (str, bool)):
            return self.verify is False
        import ssl  # whoever has a context has it already

        return self.verify.verify_mode == ssl.CERT_NONE

    @property
    def _cert_names(self) -> tuple[str, ...] | None:
        return self.cert and self.cert[:2]  # the third is a password

    def _environment(self) -> Environment:
        if not self.trust_env:
            return Environment()
        get = os.environ.get
        if self.verify not in (True, SYSTEM):
            return Environment(key_log=get("SSLKEYLOGFILE"))
        return Environment(get("SSL_CERT_FILE"), get("SSL_CERT_DIR"), get("SSLKEYLOGFILE"))


class Stamp(NamedTuple):
    """What tells a file from the one that takes its place."""

    device: int
    number: int
    size: int
    #: Of its last change (nanoseconds).
    changed: int


def stamp(path: str) -> Stamp:
    """Return the stamp of a file or a directory as it is now; all zeros when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return Stamp(0, 0, 0, 0)
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Environment(NamedTuple):
    """What the environment says about TLS."""

    ca_file: str | None = None
    ca_directory: str | None = None
    key_log: str | None = None


def authorities(verify: object) -> ssl.SSLContext | str | bool:
    """Return what ``verify=`` says, a path as text.

    Raises TypeError for anything else: 0 must not be taken for True, nor None for False.
    """
    if isinstance(verify, bool):
        return verify
    path = os.fspath(verify) if isinstance(verify, (str, os.PathLike)) else None
    if isinstance(path, str):
        return path
    import ssl  # whoever has a context has it already

    if not isinstance(verify, ssl.SSLContext):
        raise TypeError(f"verify is True, False, 'system', a path or an ssl.SSLContext, not {verify!r}")
    return verify


def cert_files(cert: object) -> tuple[str, ...] | None:
    """Return what ``cert=`` names as a tuple of one, two or three."""
    if cert is None:
        return None
    files = cert if isinstance(cert, tuple) else (cert,)
    if not 0 < len(files) < 4 or not all(isinstance(file, (str, os.PathLike)) for file in files[:2]):
        raise TypeError(
            "cert is a path, or a tuple (certificate, key) or (certificate, key, password), "
            f"not {_shape(cert)}"
        )
    return (*(os.fspath(file) for file in files[:2]), *files[2:])


def _shape(cert: object) -> str:
    """Return what a wrong ``cert=`` is without what it holds, for that may be a password."""
    if isinstance(cert, tuple):
        return f"one of {', '.join(type(part).__name__ for part in cert) or 'nothing'}"
    return f"{cert!r}"


def check_files(settings: TlsSettings) -> None:
    """Raise FileNotFoundError, naming the argument, if a file that the settings name does not exist.

    Raises ImportError, naming the extra, if verify="system" needs a package that is missing.  A certificate for a
    context of the user's is loaded into it here, once.
    """
    if settings.verify == SYSTEM:
        from greenh2._net.system_trust import check_truststore  # few clients ask the system

        check_truststore()
    elif isinstance(settings.verify, str) and not os.path.exists(settings.verify):
        raise FileNotFoundError(
            f"verify={settings.verify!r}: there is no such file or directory with CA certificates"
        )
    for path in (settings.cert or ())[:2]:
        if not os.path.exists(path):
            raise FileNotFoundError(f"cert={path!r}: there is no such file")
    if settings.cert and not isinstance(settings.verify, (str, bool)):
        show(settings.verify, *settings.cert)


def show(context: ssl.SSLContext, certificate: str, key: str | None = None, password: str = "") -> None:
    """Have the context show this certificate to servers that ask for one."""
    context.load_cert_chain(
        certificate, key, password
    )  # without a password OpenSSL would ask at the terminal
