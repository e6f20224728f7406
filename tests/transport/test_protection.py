"""What a user is protected from: responses without end, and servers that nobody verifies."""

import logging
import ssl
import warnings

import pytest

import greenh2
from greenh2 import _transport
from tests.support.certificates import Certificates
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


@BOTH
def test_a_stream_that_is_too_large_does_not_hurt_its_siblings(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=1, timeout=5.0, max_response_bytes=100_000)
    with client.stream("GET", f"{server.url}/bytes/50000") as sibling:
        pieces = sibling.iter_bytes() if alpn == ("h2",) else iter([sibling.read()])
        with pytest.raises(greenh2.ResponseTooLarge):
            client.get(f"{server.url}/bytes/3000000")
        assert sum(map(len, pieces)) == 50000
    assert len(client.get(f"{server.url}/bytes/7").content) == 7


def test_no_secret_is_in_the_log_or_in_a_dump(
    origin: OriginFactory, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server = origin()
    client = make_client(
        limits=1, cookies={"name": "hidden-1"}, headers={"X-Shown": "1"}, auth=("user", "hidden-2")
    )
    url = f"https://user:hidden-3@{server.url[8:]}/bytes/5000000?shown=1"
    headers = {"Proxy-Authorization": "hidden-4", "Cookie": "other=hidden-5", "Authorization": "hidden-6"}
    other = origin()
    with (
        caplog.at_level(logging.DEBUG, logger="greenh2"),
        client.stream("GET", url, headers=headers) as response,
    ):
        told = client.dump() + repr(client) + repr(response.request) + repr(response.request.headers)
        with pytest.raises(greenh2.PoolTimeout) as caught:
            client.get(other.url, timeout=greenh2.Timeout(1.0, pool=0.05))
        told += str(caught.value)
    assert "/bytes/5000000" in told
    assert "request.head" in caplog.text
    assert "hidden" not in told + caplog.text


# -- certificates that nobody verifies -----------------------------------------------------------------------------


def test_an_origin_that_is_not_verified_is_warned_of_once(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    one, other = origin(), origin()
    client = make_client(verify=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for server in one, one, other, one:
            assert client.get(server.url).is_success
    assert [warning.category for warning in caught] == [greenh2.InsecureRequestWarning] * 2
    assert one.url.rstrip("/") in str(caught[0].message)
    assert "Give verify=" in str(caught[0].message)
    assert {warning.filename for warning in caught} == {__file__}


def test_a_client_that_has_warned_of_many_origins_warns_of_no_more(
    origin: OriginFactory, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "_MOST_WARNED", 2)
    client = make_client(verify=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for server in [origin() for _ in range(4)]:
            assert client.get(server.url).is_success
    assert [warning.category for warning in caught] == [greenh2.InsecureRequestWarning] * 2


def test_a_context_that_verifies_nothing_is_warned_of(
    origin: OriginFactory, make_client: MakeClient, certificates: Certificates
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(greenh2.InsecureRequestWarning, match="https://localhost:"):
        make_client(verify=context).get(origin().url)


def test_no_one_is_warned_where_there_is_no_certificate(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    assert make_client(verify=False).get(origin(alpn=("http/1.1",), tls=False).url).is_success
