"""TLS settings: which certificates are trusted, which is shown, and which protocols are offered.

Contexts are gevent's own class, made lazily and shared by all who name the same files, unless others have taken their
place meanwhile: the default one costs some 20 ms and blocks the hub while certifi's file is parsed.  A user's context
is used as it is, but for the ALPN list.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from typing import NamedTuple

from gevent.ssl import SSLContext

from greenh2._errors import ConnectError, ConnectTimeout, ReadError
from greenh2._net.bell import Leash, end_of
from greenh2._net.channel import Channel
from greenh2._net.system_trust import check_truststore, system_context

#: ``verify=``: trust what the system trusts.
SYSTEM = "system"
#: What ``cert=`` takes: a file with certificate and key, or (certificate, key), or (certificate, key, password).
CertTypes = str | os.PathLike[str] | tuple[str, str] | tuple[str, str, str]

#: X509_verify_cert_error codes: self-signed alone or in its chain, and no issuer found.
_UNKNOWN_ISSUER = frozenset((18, 19, 20, 21))


class TlsSettings(NamedTuple):
    """What a Client was told about TLS; ``context()`` is made at first use."""

    verify: ssl.SSLContext | str | bool = True
    cert: tuple[str, ...] | None = None
    trust_env: bool = True
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    #: What the files that are named looked like when the Client was made.
    stamps: tuple[Stamp, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Return the shared context for these settings.  May block the hub for some 20 ms, once.

        Raises ConnectError when a file does not hold what it should.
        """
        if isinstance(self.verify, ssl.SSLContext):
            self.verify.set_alpn_protocols(list(self.alpn))
            return self.verify
        return self._made(_shared_context, self.stamps)

    def new_context(self) -> ssl.SSLContext:
        """Return a context of one's own for these settings; otherwise as `context()`."""
        return self._made(_new_context)

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
        if isinstance(self.verify, ssl.SSLContext):
            return self.verify.verify_mode == ssl.CERT_NONE
        return self.verify is False

    @property
    def _cert_names(self) -> tuple[str, ...] | None:
        return self.cert and self.cert[:2]  # the third is a password

    def _environment(self) -> _Environment:
        if not self.trust_env:
            return _Environment()
        get = os.environ.get
        if self.verify not in (True, SYSTEM):
            return _Environment(key_log=get("SSLKEYLOGFILE"))
        return _Environment(get("SSL_CERT_FILE"), get("SSL_CERT_DIR"), get("SSLKEYLOGFILE"))


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


class _Environment(NamedTuple):
    """What the environment says about TLS."""

    ca_file: str | None = None
    ca_directory: str | None = None
    key_log: str | None = None


def create_ssl_context(
    verify: ssl.SSLContext | str | os.PathLike[str] | bool = True,
    cert: CertTypes | None = None,
    trust_env: bool = True,
) -> ssl.SSLContext:
    """Return a new context that is as a Client with these arguments would have it, to be changed and given as `verify`.

    Takes some 20 ms for certifi's authorities, in which no other greenlet runs.  A context is returned as it is, with
    the certificate loaded into it.  Raises FileNotFoundError, ImportError, ssl.SSLError and ConnectError as a Client
    does at once or with its first request.
    """
    settings = TlsSettings(authorities(verify), cert_files(cert), trust_env)
    check_files(settings)
    if isinstance(verify, ssl.SSLContext):
        return verify
    return settings.new_context()


def authorities(verify: object) -> ssl.SSLContext | str | bool:
    """Return what ``verify=`` says, a path as text.

    Raises TypeError for anything else: 0 must not be taken for True, nor None for False.
    """
    if isinstance(verify, (bool, ssl.SSLContext)):
        return verify
    path = os.fspath(verify) if isinstance(verify, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise TypeError(f"verify is True, False, 'system', a path or an ssl.SSLContext, not {verify!r}")
    return path


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


@lru_cache(maxsize=64)
def _shared_context(
    verify: str | bool,
    cert: tuple[str, ...] | None,
    environment: _Environment,
    alpn: tuple[str, ...],
    _stamps: tuple[Stamp, ...],
) -> ssl.SSLContext:
    return _new_context(verify, cert, environment, alpn)


def _new_context(
    verify: str | bool,
    cert: tuple[str, ...] | None,
    environment: _Environment,
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    ask_system = verify == SYSTEM and not (environment.ca_file or environment.ca_directory)
    context: ssl.SSLContext = system_context() if ask_system else SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113 section 9.2
    context.options |= ssl.OP_NO_COMPRESSION | getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    context.set_alpn_protocols(list(alpn))
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(verify, str) and verify != SYSTEM:
        _trust(context, verify)
    elif environment.ca_file or environment.ca_directory:
        context.load_verify_locations(environment.ca_file, environment.ca_directory)
    elif not ask_system:
        import certifi  # brings half of importlib.resources along

        context.load_verify_locations(certifi.where())
    if cert:
        _show(context, *cert)
    if environment.key_log:
        context.keylog_filename = environment.key_log
    return context


def check_files(settings: TlsSettings) -> None:
    """Raise FileNotFoundError, naming the argument, if a file that the settings name does not exist.

    Raises ImportError, naming the extra, if verify="system" needs a package that is missing.  A certificate for a
    context of the user's is loaded into it here, once.
    """
    if settings.verify == SYSTEM:
        check_truststore()
    elif isinstance(settings.verify, str) and not os.path.exists(settings.verify):
        raise FileNotFoundError(
            f"verify={settings.verify!r}: there is no such file or directory with CA certificates"
        )
    for path in (settings.cert or ())[:2]:
        if not os.path.exists(path):
            raise FileNotFoundError(f"cert={path!r}: there is no such file")
    if isinstance(settings.verify, ssl.SSLContext) and settings.cert:
        _show(settings.verify, *settings.cert)


def _trust(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def _show(context: ssl.SSLContext, certificate: str, key: str | None = None, password: str = "") -> None:
    context.load_cert_chain(
        certificate, key, password
    )  # without a password OpenSSL would ask at the terminal


def _is_no_tls(error: Exception) -> bool:
    """Tell whether what came was no record of TLS at all, as far as OpenSSL says."""
    return any(reason in str(error) for reason in ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG"))


def handshake(
    channel: Channel,
    context: ssl.SSLContext,
    hostname: str,
    peer: str,
    seconds: float | None,
    leash: Leash | None = None,
    session: ssl.SSLSession | None = None,
    *,
    since: float | None = None,
) -> None:
    """Speak TLS on a fresh channel within so many seconds, taking up a session if the server agrees.

    Switches greenlets.  The seconds began at the moment ``since`` (`time.monotonic`), by default now.

    Raises ConnectTimeout or ConnectError, and what the leash is called off with; the channel is left for the caller
    to close.
    """
    end = end_of(seconds, since)
    with _told_as_ours(peer):
        channel.start_tls(context, hostname, session)
    while True:
        with _told_as_ours(peer):
            if channel.handshake():
                return
        # Outside: what a kill or a gevent.Timeout raises in a wait may be of any class, an OSError too, and passes.
        left = None if end is None else end - monotonic()
        if not channel.wait_readable(left, leash):
            raise ConnectTimeout(f"TLS with {peer} was not established within {seconds:.3g} s")


@contextmanager
def _told_as_ours(peer: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as exc:
        hint = "; pass verify=<CA file> if its CA is your own" if exc.verify_code in _UNKNOWN_ISSUER else ""
        raise ConnectError(f"the certificate of {peer} was not accepted: {exc.verify_message}{hint}") from exc
    except (ReadError, OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        hint = "; does that port speak TLS, or plain http://?" if _is_no_tls(exc) else ""
        raise ConnectError(f"TLS with {peer} failed: {exc}{hint}") from exc
