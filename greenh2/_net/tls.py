"""TLS settings: which certificates are trusted, which is shown, and which protocols are offered.

Contexts are gevent's own class, made lazily and shared: the default one costs some 20 ms and blocks the hub while
certifi's file is parsed.  A user's context is used as it is, but for the ALPN list.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic

import certifi
from gevent.ssl import SSLContext

from greenh2._errors import ConnectError, ConnectTimeout
from greenh2._net.channel import Channel

#: What ``cert=`` takes: a file with certificate and key, or (certificate, key), or (certificate, key, password).
CertTypes = str | os.PathLike[str] | tuple[str, str] | tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a Client was told about TLS; ``context()`` is made at first use."""

    verify: ssl.SSLContext | str | bool = True
    cert: tuple[str, ...] | None = None
    trust_env: bool = True
    alpn: tuple[str, ...] = ("h2", "http/1.1")

    def context(self) -> ssl.SSLContext:
        """Return the shared context for these settings.  May block the hub for some 20 ms, once."""
        if isinstance(self.verify, ssl.SSLContext):
            self.verify.set_alpn_protocols(list(self.alpn))
            return self.verify
        return _shared_context(self.verify, self.cert, self._environment(), self.alpn)

    def _environment(self) -> tuple[str | None, str | None]:
        if not self.trust_env or self.verify is not True:
            return None, None
        return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@lru_cache(maxsize=64)
def _shared_context(
    verify: str | bool,
    cert: tuple[str, ...] | None,
    environment: tuple[str | None, str | None],
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    context: ssl.SSLContext = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113 section 9.2
    context.options |= ssl.OP_NO_COMPRESSION | getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    context.set_alpn_protocols(list(alpn))
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(verify, str):
        _trust(context, verify)
    elif any(environment):
        context.load_verify_locations(environment[0], environment[1])
    else:
        context.load_verify_locations(certifi.where())
    if cert:
        context.load_cert_chain(*cert)
    if log_file := os.environ.get("SSLKEYLOGFILE"):
        context.keylog_filename = log_file
    return context


def check_files(settings: TlsSettings) -> None:
    """Raise FileNotFoundError, naming the argument, if a file that the settings name does not exist.

    A certificate for a context of the user's is loaded into it here, once.
    """
    if isinstance(settings.verify, str) and not os.path.exists(settings.verify):
        raise FileNotFoundError(f"verify={settings.verify!r}: there is no such file or directory with CA certificates")
    for path in (settings.cert or ())[:2]:
        if not os.path.exists(path):
            raise FileNotFoundError(f"cert={path!r}: there is no such file")
    if isinstance(settings.verify, ssl.SSLContext) and settings.cert:
        settings.verify.load_cert_chain(*settings.cert)


def _trust(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def handshake(channel: Channel, context: ssl.SSLContext, hostname: str, peer: str, seconds: float | None) -> None:
    """Speak TLS on a fresh channel within so many seconds.  Switches greenlets.

    Raises ConnectTimeout or ConnectError; the channel is left for the caller to close.
    """
    end = None if seconds is None else monotonic() + seconds
    try:
        channel.start_tls(context, hostname)
        while not channel.handshake():
            left = None if end is None else end - monotonic()
            if not channel.wait_readable(left):
                raise ConnectTimeout(f"TLS with {peer} was not established within {seconds:.3g} s")
    except ssl.SSLCertVerificationError as exc:
        raise ConnectError(
            f"the certificate of {peer} was not accepted: {exc.verify_message}. "
            "Pass verify=<CA file> for a private CA"
        ) from exc
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ConnectError(f"TLS with {peer} failed: {exc}") from exc
