"""`max_retries` of a GreenAdapter is obeyed as requests' HTTPAdapter obeys it, and its pauses let others run."""

import gevent
import pytest
import urllib3.exceptions
from requests import exceptions as told
from urllib3.util import Retry

import greenh2
from greenh2.adapters.requests import GreenAdapter
from tests.adapters.making import MakeSession, Scripted
from tests.support.clients import BOTH
from tests.support.origins import OriginFactory


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(gevent, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("max_retries", "error", "attempts"),
    [
        (0, greenh2.ConnectError("refused"), 1),
        (2, greenh2.ConnectError("refused"), 3),
        (2, greenh2.ConnectTimeout("slow"), 3),
        (2, greenh2.PoolTimeout("full"), 3),
        (2, greenh2.ProxyError("no"), 3),
        (Retry(connect=1), greenh2.ConnectError("refused"), 2),
        (Retry(total=5, connect=False), greenh2.ConnectError("refused"), 1),
        (Retry(False), greenh2.ConnectError("refused"), 1),
        (Retry(read=2), greenh2.ReadTimeout("silent"), 3),
        (Retry(read=2), greenh2.ServerDisconnected("gone"), 3),
        (Retry(total=5, read=False), greenh2.ReadTimeout("silent"), 1),
    ],
)
def test_errors_are_retried_as_requests_retries_them(
    make_session: MakeSession, max_retries: int | Retry, error: Exception, attempts: int
) -> None:
    server = Scripted(*[error] * 9)
    session = make_session(pool=greenh2.MockTransport(server), max_retries=max_retries)
    with pytest.raises(told.RequestException) as caught:
        session.get("https://a.example/")
    assert len(server.asked) == attempts
    assert caught.value.__cause__ is error
    server = Scripted(*[error] * (attempts - 1))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=max_retries)
    assert session.get("https://a.example/").ok
    assert len(server.asked) == attempts


def test_what_no_number_and_no_retry_is_refused() -> None:
    with pytest.raises(TypeError, match="max_retries is a number or urllib3's Retry, not '3'"):
        GreenAdapter(max_retries="3")  # type: ignore[arg-type]


def test_the_arguments_of_requests_own_adapter_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"takes no pool_connections, pool_maxsize: .* limits=") as caught:
        GreenAdapter(pool_connections=10, pool_maxsize=100)  # type: ignore[arg-type]
    assert "max_connections_per_origin" in str(caught.value)


def test_a_method_that_is_not_idempotent_is_not_repeated_after_it_was_sent(make_session: MakeSession) -> None:
    server = Scripted(greenh2.ReadTimeout("silent"))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=Retry(3))
    with pytest.raises(told.ReadTimeout):
        session.post("https://a.example/", data=b"once")
    assert server.asked == [b"once"]


def test_reads_that_were_too_slow_each_time_are_a_connection_error_as_in_requests(
    make_session: MakeSession,
) -> None:
    session = make_session(
        pool=greenh2.MockTransport(Scripted(*[greenh2.ReadTimeout("silent")] * 3)), max_retries=2
    )
    with pytest.raises(told.ConnectionError, match="Max retries exceeded") as caught:
        session.get("https://a.example/")
    assert not isinstance(caught.value, told.Timeout)
    assert isinstance(caught.value.args[0].reason, urllib3.exceptions.ReadTimeoutError)


def test_what_must_not_be_sent_is_not_tried_again(make_session: MakeSession) -> None:
    server = Scripted(greenh2.LocalProtocolError("too long"))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=3)
    with pytest.raises(told.InvalidHeader, match=r"^too long"):
        session.get("https://a.example/")
    assert len(server.asked) == 1


def test_a_body_that_can_be_read_once_is_sent_once(make_session: MakeSession) -> None:
    server = Scripted(greenh2.ConnectError("refused"))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=3)
    with pytest.raises(told.ConnectionError, match="refused"):
        session.put("https://a.example/", data=iter([b"once"]))
    server = Scripted((503, {"Retry-After": "1"}))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=3)
    assert session.put("https://a.example/", data=iter([b"once"])).status_code == 503
    assert server.asked == [b"once"]


def test_a_status_is_retried_and_the_pauses_let_others_run(
    make_session: MakeSession, pauses: list[float]
) -> None:
    server = Scripted(*[(503, {})] * 3)
    retry = Retry(5, status_forcelist=[503], backoff_factor=0.1)
    session = make_session(pool=greenh2.MockTransport(server), max_retries=retry)
    response = session.get("https://a.example/")
    assert (response.status_code, response.content) == (200, b"body")
    assert pauses == [0.2, 0.4]  # urllib3 makes none before the second attempt
    assert len(response.raw.retries.history) == 3


@pytest.mark.parametrize(("respected", "expected"), [(True, [7, 7]), (False, [])])
def test_retry_after_is_obeyed_if_it_is_respected(
    make_session: MakeSession, pauses: list[float], respected: bool, expected: list[float]
) -> None:
    server = Scripted(*[(429, {"Retry-After": "7"})] * 2)
    retry = Retry(3, status_forcelist=[429], respect_retry_after_header=respected)
    session = make_session(pool=greenh2.MockTransport(server), max_retries=retry)
    assert session.get("https://a.example/").ok
    assert pauses == expected


def test_a_status_that_stays_is_an_error_or_the_answer(make_session: MakeSession) -> None:
    for raises in (True, False):
        server = Scripted(*[(503, {})] * 9)
        retry = Retry(2, status_forcelist=[503], raise_on_status=raises)
        session = make_session(pool=greenh2.MockTransport(server), max_retries=retry)
        if raises:
            with pytest.raises(told.RetryError, match="too many 503"):
                session.get("https://a.example/")
        else:
            response = session.get("https://a.example/")
            assert (response.status_code, response.content) == (503, b"body")
        assert len(server.asked) == 3


def test_a_retry_after_that_means_nothing(make_session: MakeSession) -> None:
    server = Scripted((503, {"Retry-After": "soon"}))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=3)
    with pytest.raises(told.InvalidHeader, match="soon"):
        session.get("https://a.example/")
    assert len(server.asked) == 1


@BOTH
def test_what_is_retried_leaves_its_connection_to_the_next(
    origin: OriginFactory, make_session: MakeSession, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    session = make_session(max_retries=Retry(3, status_forcelist=[503]))
    with pytest.raises(told.RetryError):
        session.get(f"{server.url}/status/503")
    stats = server.stats()
    assert (len(stats.requests), len(stats.connections), stats.resets) == (4, 1, [])


def test_a_kill_in_the_pause_before_a_repeat_passes(make_session: MakeSession) -> None:
    server = Scripted((503, {"Retry-After": "3600"}))
    session = make_session(pool=greenh2.MockTransport(server), max_retries=3)
    job = gevent.spawn(session.get, "https://a.example/")
    gevent.idle()
    assert len(server.asked) == 1
    job.kill()
    assert isinstance(job.value, gevent.GreenletExit)
