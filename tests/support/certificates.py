"""A certificate authority of the test session's own, and what it has issued."""

import ssl
from pathlib import Path

import gevent.ssl
import trustme

NAMES = ("localhost", "127.0.0.1", "::1", *(f"{letter}.localhost" for letter in "abcdef"))
"""What the server certificate is good for."""


class Certificates:
    """One authority, one server certificate for NAMES, and others on demand, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        """What a client should trust: ``Client(verify=certificates.ca_file)``."""
        self._authority.cert_pem.write_to_path(self.ca_file)
        leaf = self._authority.issue_cert(*NAMES)
        self.chain_file = str(folder / "chain.pem")
        self.key_file = str(folder / "key.pem")
        leaf.private_key_pem.write_to_path(self.key_file)
        leaf.cert_chain_pems[0].write_to_path(self.chain_file)
        self.server = str(folder / "server.pem")
        """Key and chain in one file."""
        leaf.private_key_and_cert_chain_pem.write_to_path(self.server)

    def issue(self, *names: str) -> str:
        """Issue a certificate for other names, or for a client (``"someone@example.org"``).

        Return the path of one file with key and chain.
        """
        path = self._folder / f"{'-'.join(names).replace('*', 'star')}.pem"
        self._authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)

    def client_context(self) -> ssl.SSLContext:
        """A client's context that trusts this authority alone and is cooperative, patched or not."""
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context
