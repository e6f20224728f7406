"""Which certificates are trusted and shown, and what a handshake ends with."""

import datetime as dt
import gc
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import certifi
import gevent
import gevent.ssl
import pytest
import trustme

import greenh2
from greenh2._errors import CloseError, ConnectError, ConnectTimeout
from greenh2._net import system_trust, tls
from greenh2._net.bell import Leash
from greenh2._net.trust import TlsSettings, check_files
from tests.net.conftest import Dial, OpenSsl, shake_hands
from tests.support.certificates import Certificates
from tests.support.rawserver import H2Peer, RawServer, RawServers

Shake = Callable[..., H2Peer]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Lets go of shared contexts after the test, and so of the file that one of them writes to."""
    yield
    tls.shared_context.cache_clear()
    gc.collect()


@pytest.fixture
def shake(dial: Dial) -> Shake:
    """Shakes hands with a server, and returns the server's side."""

    def hands(server: RawServer, settings: TlsSettings, hostname: str = "localhost") -> H2Peer:
        channel = dial(server)
        shaking = gevent.spawn(shake_hands, channel, settings.context(), hostname, "https://peer", 5.0)
        peer = server.accept_tcp()
        assert server.context is not None
        try:
            peer.start_tls(server.context)
        except (ssl.SSLError, OSError):
            peer.close()  # the client's error tells more
        shaking.get()
        return peer

    return hands


# -- trust -----------------------------------------------------------------------------------------------------


def test_certifi_is_trusted_by_default_through_one_shared_context() -> None:
    context = TlsSettings().context()
    assert context is TlsSettings().context()
    expected = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expected.load_verify_locations(certifi.where())
    assert context.cert_store_stats() == expected.cert_store_stats()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_tls_1_2_is_the_least_and_renegotiation_is_off() -> None:
    context = TlsSettings().context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_a_ca_file_is_trusted(raw_server: RawServers, certificates: Certificates, shake: Shake) -> None:
    shake(raw_server(), TlsSettings(verify=certificates.ca_file))


def test_a_directory_of_cas_is_trusted(
    raw_server: RawServers, certificates: Certificates, shake: Shake, tmp_path: Path, openssl: OpenSsl
) -> None:
    # OpenSSL looks for a file named by a hash of the subject: every certificate by one authority has it alike
    name = openssl("x509", "-subject_hash", "-noout", "-in", certificates.ca_file).strip()
    (tmp_path / f"{name}.0").write_bytes(Path(certificates.ca_file).read_bytes())
    shake(raw_server(), TlsSettings(verify=str(tmp_path)))


def test_nothing_is_verified_when_that_is_asked_for(raw_server: RawServers, shake: Shake) -> None:
    shake(raw_server(certificate=None), TlsSettings(verify=False), "another.name")


def test_a_context_of_the_users_is_used_as_it_is_but_for_alpn(
    raw_server: RawServers, certificates: Certificates, shake: Shake
) -> None:
    context = certificates.client_context()
    settings = TlsSettings(verify=context)
    assert settings.context() is context
    assert shake(raw_server(), settings).tls.selected_alpn_protocol() == "h2"


def test_the_environment_names_what_is_trusted(
    raw_server: RawServers, certificates: Certificates, shake: Shake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    shake(raw_server(), TlsSettings())
    with pytest.raises(ConnectError):
        shake(raw_server(), TlsSettings(trust_env=False))


def test_the_environment_does_not_add_to_what_the_user_names(
    raw_server: RawServers, certificates: Certificates, shake: Shake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    with pytest.raises(ConnectError):
        shake(raw_server(), TlsSettings(verify=certifi.where()))


def test_keys_are_logged_where_the_environment_says(
    forgotten: None,
    raw_server: RawServers,
    certificates: Certificates,
    shake: Shake,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    shake(raw_server(), TlsSettings(verify=certificates.ca_file, trust_env=False))
    assert not log.exists()
    shake(raw_server(), TlsSettings(verify=certificates.ca_file))
    assert "CLIENT_TRAFFIC_SECRET_0" in log.read_text()


# -- a context of one's own ------------------------------------------------------------------------------------


def test_a_context_is_made_as_a_client_would_have_it(
    raw_server: RawServers, certificates: Certificates, shake: Shake
) -> None:
    context = greenh2.create_ssl_context(verify=Path(certificates.ca_file), cert=certificates.server)
    assert context is not greenh2.create_ssl_context(verify=certificates.ca_file, cert=certificates.server)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    server = raw_server(adjust=wants_certificate(certificates))
    assert shake(server, TlsSettings(verify=context)).tls.getpeercert()


def test_a_context_may_trust_anybody_or_be_one_already() -> None:
    context = greenh2.create_ssl_context(verify=False)
    assert context.verify_mode is ssl.CERT_NONE
    assert greenh2.create_ssl_context(context) is context


def test_the_environment_is_heeded_by_a_new_context_unless_told_otherwise(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    assert greenh2.create_ssl_context().cert_store_stats()["x509"] == 1
    assert greenh2.create_ssl_context(trust_env=False).cert_store_stats()["x509"] > 1


def test_a_context_from_no_file_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        greenh2.create_ssl_context("/no/such/file")


# -- what the system trusts --------------------------------------------------------------------------------------


class Paths(NamedTuple):
    openssl_cafile: str = "/no/such/file"
    openssl_capath: str = "/no/such/directory"


@pytest.fixture
def paths(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says where OpenSSL looks for the system's authorities, and distributions keep none."""
    tls.shared_context.cache_clear()
    monkeypatch.setattr(system_trust, "_FILES", ())
    return lambda *found: monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: Paths(*found))


def test_the_file_of_openssl_is_what_the_system_trusts(
    raw_server: RawServers, certificates: Certificates, shake: Shake, paths: Callable[..., None]
) -> None:
    paths(certificates.ca_file)
    assert shake(raw_server(), TlsSettings(verify="system")).tls.selected_alpn_protocol() == "h2"
    with pytest.raises(ConnectError, match="mismatch"):
        shake(raw_server(), TlsSettings(verify="system"), "wrong.localhost")
    with pytest.raises(ConnectError):  # and nobody else
        shake(raw_server(), TlsSettings(verify=certifi.where()))


def test_or_the_directory_of_openssl(
    raw_server: RawServers,
    certificates: Certificates,
    shake: Shake,
    paths: Callable[..., None],
    tmp_path: Path,
    openssl: OpenSsl,
) -> None:
    name = openssl("x509", "-subject_hash", "-noout", "-in", certificates.ca_file).strip()
    (tmp_path / f"{name}.0").write_bytes(Path(certificates.ca_file).read_bytes())
    paths("/no/such/file", str(tmp_path))
    shake(raw_server(), TlsSettings(verify="system"))


def test_or_what_a_distribution_keeps(
    raw_server: RawServers,
    certificates: Certificates,
    shake: Shake,
    paths: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths("/no/such/file", str(tmp_path))  # which is empty
    monkeypatch.setattr(system_trust, "_FILES", ("/no/such/file", certificates.ca_file))
    shake(raw_server(), TlsSettings(verify="system"))


def test_a_system_that_trusts_nobody_is_an_error(paths: Callable[..., None]) -> None:
    paths()
    with pytest.raises(
        ConnectError, match=r"verify='system' .* no certificates of the system were found at /no"
    ):
        TlsSettings(verify="system").context()


def test_the_environment_goes_before_the_system(
    raw_server: RawServers,
    certificates: Certificates,
    shake: Shake,
    paths: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths(certifi.where())
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    shake(raw_server(), TlsSettings(verify="system"))
    with pytest.raises(ConnectError):
        shake(raw_server(), TlsSettings(verify="system", trust_env=False))


def test_a_context_of_truststore_works_however_the_process_is_patched(
    forgotten: None,
    raw_server: RawServers,
    certificates: Certificates,
    shake: Shake,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # What it does on macOS can be seen there only; here it is given the files of the tests.
    tls.shared_context.cache_clear()
    monkeypatch.setattr(system_trust, "needs_truststore", lambda: True)
    settings = TlsSettings(verify="system", trust_env=False, cert=(certificates.server,))
    check_files(settings)
    context = settings.context()
    assert type(context).__module__.startswith("truststore")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ConnectError, match="was not accepted"):
        shake(raw_server(), settings)
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    assert shake(raw_server(), settings).tls.selected_alpn_protocol() == "h2"


def test_a_missing_truststore_is_told_before_any_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ssl.SSLContext
    monkeypatch.setattr(system_trust, "needs_truststore", lambda: True)
    monkeypatch.setitem(sys.modules, "truststore", None)
    with pytest.raises(ImportError, match=r"verify='system' needs truststore .*'greenh2\[system\]'"):
        greenh2.Client(verify="system")
    assert ssl.SSLContext is before


# -- what is refused -------------------------------------------------------------------------------------------


def test_a_certificate_of_an_unknown_ca_is_refused_and_the_error_says_what_to_do(
    raw_server: RawServers, shake: Shake
) -> None:
    with pytest.raises(
        ConnectError, match=r"the certificate of https://peer was not accepted: .*verify=<CA file>"
    ):
        shake(raw_server(), TlsSettings())


def test_a_self_signed_certificate_is_refused_unless_it_is_trusted_itself(
    raw_server: RawServers, shake: Shake, tmp_path: Path, openssl: OpenSsl
) -> None:
    path = tmp_path / "self.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    openssl("req", "-x509", *key, *name, "-keyout", str(path), "-out", f"{path}.crt")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    with pytest.raises(ConnectError, match="self-signed"):
        shake(raw_server(certificate=str(path)), TlsSettings())
    shake(raw_server(certificate=str(path)), TlsSettings(verify=f"{path}.crt"))


@pytest.mark.parametrize("host", ["wrong.localhost", "127.0.0.2"])
def test_a_certificate_for_another_host_is_refused(
    raw_server: RawServers, certificates: Certificates, shake: Shake, host: str
) -> None:
    with pytest.raises(ConnectError, match=r"(Hostname|IP address) mismatch") as caught:
        shake(raw_server(), TlsSettings(verify=certificates.ca_file), host)
    assert "verify=" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_may_be_what_the_certificate_is_for(
    raw_server: RawServers, certificates: Certificates, shake: Shake, host: str
) -> None:
    shake(raw_server(), TlsSettings(verify=certificates.ca_file), host)


def test_an_expired_certificate_is_refused(raw_server: RawServers, shake: Shake, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    expired = authority.issue_cert("localhost", not_before=long_ago, not_after=long_ago + dt.timedelta(1))
    expired.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with pytest.raises(ConnectError, match="certificate has expired"):
        shake(
            raw_server(certificate=str(tmp_path / "server.pem")), TlsSettings(verify=str(tmp_path / "ca.pem"))
        )


@pytest.mark.parametrize("host", ["", ".localhost"])
def test_a_name_that_tls_cannot_ask_for_is_an_error(
    raw_server: RawServers, certificates: Certificates, dial: Dial, host: str
) -> None:
    context = TlsSettings(verify=certificates.ca_file).context()
    with pytest.raises(ConnectError, match="TLS with https://peer failed"):
        tls.handshake(dial(raw_server()), context, host, "https://peer", 5.0)


# -- the client's own certificate --------------------------------------------------------------------------------


def wants_certificate(certificates: Certificates) -> Callable[[ssl.SSLContext], None]:
    def adjust(context: ssl.SSLContext) -> None:
        context.load_verify_locations(certificates.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED

    return adjust


@pytest.mark.parametrize("mine", [False, True])
def test_a_client_certificate_is_shown(
    raw_server: RawServers, certificates: Certificates, shake: Shake, mine: bool
) -> None:
    server = raw_server(adjust=wants_certificate(certificates))
    verify: ssl.SSLContext | str = certificates.client_context() if mine else certificates.ca_file
    settings = TlsSettings(verify=verify, cert=(certificates.issue("me@example.org"),))
    check_files(settings)
    assert shake(server, settings).tls.getpeercert()


def lock(key: str, locked: Path, openssl: OpenSsl) -> str:
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", str(locked))
    return str(locked)


def test_a_key_may_lie_in_a_file_of_its_own_under_a_password(
    raw_server: RawServers, certificates: Certificates, shake: Shake, tmp_path: Path, openssl: OpenSsl
) -> None:
    locked = lock(certificates.key_file, tmp_path / "locked.pem", openssl)
    server = raw_server(adjust=wants_certificate(certificates))
    cert = (certificates.chain_file, locked, "secret")
    assert shake(server, TlsSettings(verify=certificates.ca_file, cert=cert)).tls.getpeercert()


def test_a_missing_password_is_an_error_and_not_a_question_at_the_terminal(
    certificates: Certificates, tmp_path: Path, openssl: OpenSsl
) -> None:
    locked = lock(certificates.key_file, tmp_path / "locked.pem", openssl)
    with pytest.raises(ConnectError, match=r"locked\.pem"):
        TlsSettings(cert=(certificates.chain_file, locked)).context()


def test_a_password_is_in_no_message(certificates: Certificates, tmp_path: Path) -> None:
    cert = (certificates.chain_file, certificates.ca_file, "secret")
    with pytest.raises(ConnectError) as caught:
        TlsSettings(cert=cert).context()
    assert "secret" not in str(caught.value)


def test_a_file_without_certificates_is_named_in_the_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConnectError, match=r"verify='.*empty.pem' and cert=None cannot be used"):
        TlsSettings(verify=str(empty)).context()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (TlsSettings(verify="/no/such/ca.pem"), "verify='/no/such/ca.pem'"),
        (TlsSettings(cert=("/no/such/cert.pem",)), "cert='/no/such/cert.pem'"),
        (TlsSettings(cert=(certifi.where(), "/no/such/key.pem")), "cert='/no/such/key.pem'"),
    ],
)
def test_a_file_that_does_not_exist_is_told_before_any_connection(settings: TlsSettings, text: str) -> None:
    with pytest.raises(FileNotFoundError, match=text):
        check_files(settings)


def test_files_that_exist_pass(certificates: Certificates) -> None:
    check_files(TlsSettings())
    check_files(TlsSettings(verify=certificates.ca_file, cert=(certificates.server,)))


# -- handshakes that come to nothing -----------------------------------------------------------------------------


def start(
    raw_server: RawServers, dial: Dial, seconds: float | None
) -> tuple["gevent.Greenlet[..., None]", H2Peer]:
    server = raw_server()
    channel = dial(server)
    shaking = gevent.spawn(
        tls.handshake, channel, TlsSettings().context(), "localhost", "https://peer", seconds
    )
    return shaking, server.accept_tcp()


def test_a_peer_that_stays_silent_is_a_connect_timeout(raw_server: RawServers, dial: Dial) -> None:
    shaking, _ = start(raw_server, dial, 0.05)
    with pytest.raises(ConnectTimeout, match=r"TLS with https://peer was not established within 0.05 s"):
        shaking.get()


def test_an_answer_in_plain_http_is_an_error(raw_server: RawServers, dial: Dial) -> None:
    shaking, peer = start(raw_server, dial, 5.0)
    peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(
        ConnectError, match=r"TLS with https://peer failed: .*; does that port speak TLS, or plain http://\?"
    ):
        shaking.get()


def test_an_end_in_mid_handshake_is_an_error(raw_server: RawServers, dial: Dial) -> None:
    shaking, peer = start(raw_server, dial, None)
    peer.read()
    peer.close()
    with pytest.raises(ConnectError, match="TLS with https://peer failed"):
        shaking.get()


def test_a_reset_in_mid_handshake_is_an_error_too(raw_server: RawServers, dial: Dial) -> None:
    shaking, peer = start(raw_server, dial, 5.0)
    peer.abort()
    with pytest.raises(ConnectError, match=r"TLS with https://peer failed: .*reset"):
        shaking.get()


def test_a_handshake_that_is_called_off_ends_at_once(raw_server: RawServers, dial: Dial) -> None:
    leash = Leash()
    context = TlsSettings().context()
    channel = dial(raw_server())
    shaking = gevent.spawn(tls.handshake, channel, context, "localhost", "https://peer", None, leash)
    gevent.sleep(0.01)
    leash.call_off(CloseError("closed"))
    with pytest.raises(CloseError, match="closed"):
        shaking.get(timeout=5.0)


def test_a_kill_ends_a_handshake(raw_server: RawServers, dial: Dial) -> None:
    shaking, _ = start(raw_server, dial, None)
    shaking.kill()
    assert shaking.successful()
    assert isinstance(shaking.value, gevent.GreenletExit)


@pytest.mark.parametrize("error", [TimeoutError("mine"), ValueError("mine")], ids=repr)
def test_a_timeout_from_outside_passes_whatever_its_class(
    raw_server: RawServers, dial: Dial, error: Exception
) -> None:
    shaking, _ = start(raw_server, dial, None)
    shaking.kill(error)
    assert shaking.exception is error


def test_other_greenlets_run_during_a_handshake(raw_server: RawServers, dial: Dial) -> None:
    shaking, peer = start(raw_server, dial, 5.0)
    ticks = 0
    while ticks < 20:
        gevent.sleep(0.001)
        ticks += 1
    assert not shaking.ready()
    peer.abort()
    with pytest.raises(ConnectError):
        shaking.get()
