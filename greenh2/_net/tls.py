"""TLS: the contexts for what a client was told (`trust`), and the handshake.

Contexts are gevent's own class, made lazily and shared by all who name the same files, unless others have taken their
place meanwhile: the default one costs some 20 ms and blocks the hub while certifi's file is parsed.  A user's context
is used as it is, but for the ALPN list.  Loaded with the first context that is made, for it brings the module ssl.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic

from gevent.ssl import SSLContext

from greenh2._errors import ConnectError, ConnectTimeout, ReadError
from greenh2._models.settings import CertTypes
from greenh2._net.bell import Leash, end_of
from greenh2._net.channel import Channel
from greenh2._net.system_trust import system_context
from greenh2._net.trust import (
    SYSTEM,
    Environment,
    Stamp,
    TlsSettings,
    authorities,
    cert_files,
    check_files,
    show,
)

#: X509_verify_cert_error codes: self-signed alone or in its chain, and no issuer found.
_UNKNOWN_ISSUER = frozenset((18, 19, 20, 21))


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


@lru_cache(maxsize=64)
def shared_context(
    verify: str | bool,
    cert: tuple[str, ...] | None,
    environment: Environment,
    alpn: tuple[str, ...],
    _stamps: tuple[Stamp, ...],
) -> ssl.SSLContext:
    """Return the context for these settings, the same one as long as the stamps of their files are the same."""
    return new_context(verify, cert, environment, alpn)


def new_context(
    verify: str | bool,
    cert: tuple[str, ...] | None,
    environment: Environment,
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    """Return a new context for these settings.  Raises OSError (ssl.SSLError is one) and ValueError for bad files."""
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
        show(context, *cert)
    if environment.key_log:
        context.keylog_filename = environment.key_log
    return context


def _trust(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


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
