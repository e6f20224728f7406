"""Retry sends again what cannot happen twice by that, and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import gevent
import pytest

from greenh2 import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    RemoteProtocolError,
    Request,
    Response,
    ServerDisconnected,
    Timeout,
    TransportError,
)
from greenh2._middleware.retry import Again, GiveUp, Reason, Retry, decide
from greenh2._models.timeouts import Deadline
from tests.client.answers import Answers


def unprocessed() -> TransportError:
    return TransportError("refused.", unprocessed=True)


def silent() -> TransportError:
    return ServerDisconnected("gone", reused_silent=True)


def http11() -> TransportError:
    return TransportError("not over h2", http11_required=True)


def get() -> Request:
    return Request("GET", "http://a.example/")


def post() -> Request:
    return Request("POST", "http://a.example/", content=b"x")


def stream() -> Request:
    return Request("PUT", "http://a.example/", content=iter([b"x"]))


class Clock:
    """A clock that only its own sleep() moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def send(
    request: Request, *answers: Response | BaseException, total: float | None = None, jitter: float = 1.0
) -> tuple[Response, Answers, list[float]]:
    clock, transport = Clock(), Answers(*answers)
    request.extensions["deadline"] = Deadline(Timeout(5.0, total=total), clock)
    response = Retry(transport, sleep=clock.sleep, jitter=lambda: jitter)(request)
    return response, transport, clock.slept


@pytest.mark.parametrize("request_of", [get, post])
def test_what_was_not_processed_is_sent_again_at_once_whatever_its_method(
    request_of: Callable[[], Request],
) -> None:
    answer = Response(200)
    response, transport, slept = send(request_of(), unprocessed(), answer)
    assert response is answer
    assert len(transport.requests) == 2
    assert slept == []


def test_later_attempts_come_after_growing_pauses() -> None:
    _, transport, slept = send(get(), *[unprocessed() for _ in range(5)], Response(200))
    assert len(transport.requests) == 6
    assert slept == [0.05, 0.1, 0.2, 0.4]


def test_pauses_are_jittered() -> None:
    _, _, slept = send(get(), unprocessed(), unprocessed(), Response(200), jitter=1.1)
    assert slept == [pytest.approx(0.055)]


def test_the_jitter_is_ten_per_cent_by_default() -> None:
    clock = Clock()
    transport = Answers(*[unprocessed() for _ in range(5)], Response(200))
    Retry(transport, sleep=clock.sleep)(get())
    ratios = [pause / plain for pause, plain in zip(clock.slept, [0.05, 0.1, 0.2, 0.4], strict=True)]
    assert all(0.9 <= ratio <= 1.1 for ratio in ratios)


def test_after_six_attempts_the_last_error_passes_and_tells_so() -> None:
    errors = [unprocessed() for _ in range(6)]
    with pytest.raises(TransportError) as caught:
        send(get(), *errors)
    assert caught.value is errors[-1]
    assert str(caught.value) == "refused. It was not sent again: 6 attempts were made."


def test_an_error_without_a_message_gets_one() -> None:
    with pytest.raises(TransportError) as caught:
        send(stream(), TransportError(unprocessed=True))
    assert str(caught.value).startswith("Not sent again: its body can be read only once")


def test_an_error_that_says_nothing_of_a_repeat_passes_as_it_is() -> None:
    error = ReadError("broken pipe")
    with pytest.raises(ReadError) as caught:
        send(get(), error)
    assert caught.value is error
    assert str(error) == "broken pipe"


@pytest.mark.parametrize("facts", [{"unprocessed": True}, {"reused_silent": True}])
def test_a_timeout_is_never_repeated(facts: dict[str, bool]) -> None:
    with pytest.raises(ConnectTimeout, match=r"^slow$"):
        send(get(), ConnectTimeout("slow", **facts))  # type: ignore[arg-type]  # mypy takes them for the request


def test_a_body_that_can_be_read_only_once_is_not_sent_again() -> None:
    with pytest.raises(
        TransportError, match=r"refused. It was not sent again: its body can be read only once"
    ):
        send(stream(), unprocessed())


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_an_idempotent_request_is_sent_again_when_a_kept_connection_ended_silently(method: str) -> None:
    response, _, slept = send(Request(method, "http://a.example/"), silent(), Response(200))
    assert response.status_code == 200
    assert slept == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "PROPFIND"])
def test_another_request_is_not(method: str) -> None:
    with pytest.raises(
        ServerDisconnected, match=f"the server may have acted upon it, and {method} is not idempotent"
    ):
        send(Request(method, "http://a.example/"), silent())


def test_a_second_silent_end_passes() -> None:
    with pytest.raises(ServerDisconnected, match="a second connection ended the same way"):
        send(get(), silent(), silent())


def test_what_wants_http11_is_sent_again_over_http11() -> None:
    request = post()
    _, transport, _ = send(request, http11(), Response(200))
    assert [sent.extensions.get("http1_only") for sent in transport.requests] == [None, True]
    assert "http1_only" not in request.extensions


def test_http11_is_asked_for_only_once() -> None:
    with pytest.raises(TransportError, match=r"it was over HTTP/1.1 already"):
        send(get(), http11(), http11())


def test_all_kinds_of_repeats_count_towards_six_attempts() -> None:
    errors = [http11(), silent(), unprocessed(), unprocessed(), unprocessed(), unprocessed()]
    with pytest.raises(TransportError, match="6 attempts were made"):
        send(get(), *errors)


def test_no_pause_outlasts_the_total_timeout() -> None:
    with pytest.raises(TransportError, match="the total timeout leaves no time for it"):
        send(get(), *[unprocessed() for _ in range(3)], total=0.1)


def test_nothing_is_sent_again_when_the_total_timeout_has_passed() -> None:
    with pytest.raises(TransportError, match="the total timeout leaves no time for it"):
        send(get(), unprocessed(), total=0.0)


def test_without_a_deadline_nothing_bounds_the_pauses() -> None:
    clock = Clock()
    response = Retry(Answers(unprocessed(), unprocessed(), Response(200)), sleep=clock.sleep)(get())
    assert response.status_code == 200


def test_the_error_that_passes_can_still_be_pickled() -> None:
    with pytest.raises(TransportError) as caught:
        send(stream(), unprocessed())
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("interruption", [gevent.Timeout(), gevent.GreenletExit()])
def test_an_interruption_of_the_pause_passes_with_no_error_behind_it(interruption: BaseException) -> None:
    def interrupted(seconds: float) -> None:
        raise interruption

    with pytest.raises(type(interruption)) as caught:
        Retry(Answers(unprocessed(), unprocessed()), sleep=interrupted)(get())
    assert caught.value is interruption
    assert caught.value.__context__ is None


@pytest.mark.parametrize("interruption", [gevent.Timeout(), gevent.GreenletExit()])
def test_an_interruption_of_the_request_is_not_repeated(interruption: BaseException) -> None:
    with pytest.raises(type(interruption)) as caught:
        send(get(), interruption)
    assert caught.value is interruption


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        ((), Again("unprocessed", 0.0)),
        (("silent",), Again("unprocessed", 0.0)),
        (("unprocessed",), Again("unprocessed", 0.05)),
        (("unprocessed", "unprocessed"), Again("unprocessed", 0.1)),
    ],
)
def test_the_decision_looks_at_what_was_spent(spent: tuple[Reason, ...], expected: Again) -> None:
    assert decide(unprocessed(), get(), spent) == expected


def test_a_failed_connect_alone_speaks_for_no_repeat() -> None:
    assert decide(ConnectError("refused"), get(), ()) == GiveUp()


def test_a_request_that_is_merely_to_go_elsewhere_is_sent_again_at_once_many_times() -> None:
    request = Request("POST", "https://example.org", content=b"x")
    error = RemoteProtocolError("leaving", unprocessed=True, moved=True)
    assert decide(error, request, ["unprocessed"] * 18) == Again("unprocessed", 0.0)
    assert isinstance(decide(error, request, ["unprocessed"] * 19), GiveUp)
