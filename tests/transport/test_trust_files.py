"""Certificates are those that the files hold when a client is made, though clients share what was read."""

import os
import shutil
from pathlib import Path

import certifi
import pytest

import greenh2
from tests.support.certificates import Certificates
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory

NONE_KEPT = greenh2.Limits(max_keepalive_connections=0)


@pytest.mark.parametrize("by_environment", [False, True], ids=["verify", "SSL_CERT_FILE"])
def test_a_new_client_trusts_what_the_file_holds_by_now(
    origin: OriginFactory,
    make_client: MakeClient,
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    server, file = origin(), tmp_path / "authorities.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    verify = True if by_environment else file
    shutil.copy(certifi.where(), file)
    with pytest.raises(greenh2.ConnectError, match="not accepted"):
        make_client(verify=verify).get(server.url)
    renewed = tmp_path / "renewed.pem"
    shutil.copy(certificates.ca_file, renewed)
    os.replace(renewed, file)
    assert make_client(verify=verify).get(server.url).is_success


def test_a_client_goes_on_with_what_it_has_read_when_the_file_is_gone(
    origin: OriginFactory, make_client: MakeClient, certificates: Certificates, tmp_path: Path
) -> None:
    server, file = origin(), tmp_path / "authorities.pem"
    shutil.copy(certificates.ca_file, file)
    client = make_client(verify=file, limits=NONE_KEPT)
    client.get(server.url)
    file.unlink()
    assert not client.get(server.url).extensions["connection_info"]["reused"]


def test_clients_that_name_the_same_files_share_one_context(
    make_client: MakeClient, certificates: Certificates
) -> None:
    first, second, other = (
        make_client(cert=cert)._transport._dialer.tls.context()  # type: ignore[union-attr]
        for cert in (certificates.server, certificates.server, None)
    )
    assert first is second
    assert first is not other
