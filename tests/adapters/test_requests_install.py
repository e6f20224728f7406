"""Whose connections a Session uses: its adapter's, a client's, or those of all sessions, after install()."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import gevent
import pytest
import requests
from requests import exceptions as told
from requests.adapters import HTTPAdapter

import greenh2
from greenh2.adapters.requests import GreenAdapter, install, uninstall
from tests.adapters.making import MakeSession
from tests.support.certificates import Certificates
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory


@pytest.fixture(autouse=True)
def nothing_stays_installed() -> Iterator[None]:
    original = requests.Session.__init__
    yield
    uninstall()
    assert requests.Session.__init__ is original


def test_a_session_trusts_what_the_file_holds_by_now(
    origin: OriginFactory, session: requests.Session, certificates: Certificates, tmp_path: Path
) -> None:
    server, file, renewed = origin(), tmp_path / "authorities.pem", tmp_path / "renewed.pem"
    shutil.copy(certificates.ca_file, file)
    session.verify = str(file)
    assert session.get(server.url).ok
    assert session.get(server.url).ok
    assert len(server.stats().connections) == 1
    shutil.copy(certifi.where(), renewed)
    renewed.replace(file)
    with pytest.raises(told.SSLError):
        session.get(server.url)
    server.wait_until(lambda stats: not stats.open)


def test_plain_http_goes_over_one_pool_whatever_certificate_is_shown_elsewhere(
    origin: OriginFactory, session: requests.Session, certificates: Certificates
) -> None:
    server = origin(tls=False, alpn=("http/1.1",))
    for cert in (None, certificates.server, None):
        assert session.get(server.url, cert=cert).ok
    assert len(server.stats().connections) == 1


def mounted() -> object:
    with requests.Session() as session:
        return session.get_adapter("https://a.example/")


def test_a_session_shares_the_connections_of_a_client(
    origin: OriginFactory, make_client: MakeClient, make_session: MakeSession
) -> None:
    server = origin()
    client = make_client(headers={"x-client": "yes"}, cookies={"client": "yes"})
    client.get(server.url)
    session = make_session(pool=client)
    session.get(server.url)
    session.close()
    assert client.get(server.url).text == "hello\n"
    stats = server.stats()
    assert len(stats.connections) == 1
    assert {"x-client", "cookie"}.isdisjoint(dict(stats.requests[1].headers))


def test_a_shared_pool_says_itself_whom_it_trusts(
    origin: OriginFactory, make_client: MakeClient, make_session: MakeSession, certificates: Certificates
) -> None:
    server = origin()
    session = make_session(pool=make_client())
    assert session.get(server.url, verify=certificates.ca_file).ok  # what the client says as well
    for options in ({"verify": False}, {"verify": "/other"}, {"cert": certificates.server}):
        with pytest.raises(ValueError, match=r"the pool is that of a greenh2\.Client"):
            session.get(server.url, **options)
    with pytest.raises(ValueError, match=r"the pool is that of a greenh2\.Client"):
        make_session(pool=greenh2.MockTransport(lambda request: greenh2.Response(200))).get(
            "https://a.example/", verify=False
        )
    plain = origin(alpn=("http/1.1",), tls=False)
    assert session.get(plain.url, verify=False).ok
    with pytest.raises(told.ProxyError, match="pool is shared"):
        session.get(server.url, proxies={"https": "http://proxy.example"})


def test_a_client_that_was_closed_is_a_connection_error(
    make_client: MakeClient, make_session: MakeSession
) -> None:
    client = make_client()
    session = make_session(pool=client)
    client.close()
    with pytest.raises(told.ConnectionError, match="has been closed") as caught:
        session.get("https://localhost/")
    assert isinstance(caught.value.__cause__, greenh2.CloseError)


def test_a_shared_pool_cannot_be_pickled_and_is_a_client_or_a_transport(make_client: MakeClient) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        GreenAdapter(pool=make_client()).__getstate__()
    with pytest.raises(TypeError, match=r"pool is a greenh2\.Client or a transport, not str"):
        GreenAdapter(pool="pool")  # type: ignore[arg-type]


def test_options_that_cannot_work_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="no protocol to speak"):
        GreenAdapter(http1=False, http2=False)


def test_there_is_one_pool_for_each_trust(
    origin: OriginFactory, session: requests.Session, certificates: Certificates
) -> None:
    server, plain = origin(), origin(alpn=("http/1.1",), tls=False)
    with pytest.warns(greenh2.InsecureRequestWarning):
        session.get(server.url, verify=False)
    session.get(server.url)
    assert len(server.stats().connections) == 2
    for verify in (False, True, certificates.ca_file):
        session.get(plain.url, verify=verify)
    assert len(plain.stats().connections) == 1


def test_every_session_made_while_it_is_installed_has_it() -> None:
    before = requests.Session()
    with install():
        assert isinstance(mounted(), GreenAdapter)
        with requests.Session() as session:
            assert isinstance(session.get_adapter("http://a.example/"), GreenAdapter)
    assert isinstance(mounted(), HTTPAdapter)
    assert isinstance(before.get_adapter("https://a.example/"), HTTPAdapter)


def test_the_functions_of_requests_find_an_open_connection(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin()
    with install():
        for _ in range(3):
            assert requests.get(server.url, verify=certificates.ca_file).raw.version == 20
        gevent.joinall(
            [gevent.spawn(requests.get, server.url, verify=certificates.ca_file) for _ in range(5)],
            raise_error=True,
        )
        assert len(server.stats().connections) == 1
    server.wait_until(lambda stats: not stats.open)


def test_a_session_made_meanwhile_goes_on(origin: OriginFactory, certificates: Certificates) -> None:
    server = origin()
    with install():
        session = requests.Session()
        session.trust_env = False
        session.verify = certificates.ca_file
        session.get(server.url)
    server.wait_until(lambda stats: not stats.open)
    assert session.get(server.url).raw.version == 20
    session.adapters.clear()
    server.wait_until(lambda stats: not stats.open)  # as it was the last that knew the pool


def test_repeats_that_cannot_be_are_refused_by_install_and_not_by_each_session() -> None:
    with pytest.raises(TypeError, match="max_retries is a number or urllib3's Retry, not '3'"):
        install(max_retries="3")  # type: ignore[arg-type]  # what is tested
    assert isinstance(requests.Session().get_adapter("https://a.example/"), HTTPAdapter)


def test_installing_twice_is_installing_once() -> None:
    with install(max_retries=1):
        with install(max_retries=2) as second:
            assert mounted().max_retries.total == 1  # type: ignore[attr-defined]
        assert isinstance(mounted(), GreenAdapter)
        second.uninstall()
        assert isinstance(mounted(), GreenAdapter)
        uninstall()
        assert isinstance(mounted(), HTTPAdapter)
        uninstall()


def test_what_a_session_mounts_itself_stays() -> None:
    class Own(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount("https://", HTTPAdapter())

    with install(), Own() as session:
        assert isinstance(session.get_adapter("https://a.example/"), HTTPAdapter)
        assert isinstance(session.get_adapter("http://a.example/"), GreenAdapter)


def test_who_wraps_it_in_turn_is_left_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[requests.Session] = []
    with monkeypatch.context() as patch:
        install()
        inner = requests.Session.__init__

        def outer(self: requests.Session, *args: Any) -> None:
            inner(self, *args)
            made.append(self)

        patch.setattr(requests.Session, "__init__", outer)
        uninstall()
        assert requests.Session.__init__ is outer
        assert isinstance(mounted(), HTTPAdapter)
        assert len(made) == 1
        patch.setattr(requests.Session, "__init__", inner)
    original = inner.__wrapped__  # type: ignore[attr-defined]
    requests.Session.__init__ = original  # type: ignore[method-assign]


def test_sessions_share_the_pool_of_a_client_if_that_is_said(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    with install(pool=client), requests.Session() as session:
        session.trust_env = False
        session.get(server.url)
    client.get(server.url)
    assert len(server.stats().connections) == 1


@pytest.mark.parametrize(
    ("module", "needs"), [("requests", "requests"), ("httpx", "httpx"), ("httpx2", "httpx2")]
)
def test_an_adapter_says_what_it_needs_and_greenh2_needs_none(module: str, needs: str) -> None:
    program = f"""
import sys
import greenh2
assert not [name for name in sys.modules if name.startswith("greenh2.adapters")]
assert not {{"requests", "urllib3", "httpx", "httpx2"}} & set(sys.modules)
sys.modules[{needs!r}] = None
try:
    import greenh2.adapters.{module}
except ImportError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"pip install 'greenh2[{module}]'" in done.stdout
