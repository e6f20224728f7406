"""What the system trusts: files that OpenSSL or a distribution keeps, or on macOS the keychain, by truststore."""

from __future__ import annotations

import os
import ssl
import sys
from typing import Final

from gevent.monkey import get_original
from gevent.ssl import SSLContext

#: Where distributions keep one file with all authorities, for an OpenSSL that was built elsewhere and looks elsewhere.
_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, the BSDs
)


def needs_truststore() -> bool:
    """Whether the system keeps its authorities where OpenSSL cannot read them."""
    return sys.platform == "darwin"


def system_context() -> ssl.SSLContext:
    """Return a new context for clients that trusts what the system trusts.

    Raises ImportError where truststore is needed and missing, FileNotFoundError where nothing is found.
    """
    if needs_truststore():
        return _keychain()
    context: ssl.SSLContext = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    if os.path.isfile(paths.openssl_cafile):
        context.load_verify_locations(paths.openssl_cafile)
    elif _has_certificates(paths.openssl_capath):
        context.load_verify_locations(capath=paths.openssl_capath)
    else:
        found = next((path for path in _FILES if os.path.isfile(path)), None)
        if found is None:
            raise FileNotFoundError(
                f"no certificates of the system were found at {paths.openssl_cafile}, {paths.openssl_capath} or "
                "where distributions keep them"
            )
        context.load_verify_locations(found)
    return context


def check_truststore() -> None:
    """Raise ImportError, which names the extra, where truststore is needed and missing."""
    if needs_truststore():
        _import_truststore()


def _has_certificates(directory: str) -> bool:
    # OpenSSL finds them by names such as 4bfab552.0.
    return os.path.isdir(directory) and any(name.endswith(".0") for name in os.listdir(directory))


def _keychain() -> ssl.SSLContext:
    _import_truststore()
    from truststore import SSLContext as KeychainContext

    return KeychainContext(ssl.PROTOCOL_TLS_CLIENT)


def _import_truststore() -> None:
    # It keeps the class that it finds when it is imported, and sets its properties past it.  With the class that
    # gevent puts in place that would never end; with the original it works, patched or not.
    names = vars(ssl)
    current = names["SSLContext"]
    names["SSLContext"] = get_original("ssl", "SSLContext")
    try:
        import truststore  # noqa: F401
    except ImportError as exc:
        raise ImportError(
            "verify='system' needs truststore on this system: pip install 'greenh2[system]'"
        ) from exc
    finally:
        names["SSLContext"] = current
