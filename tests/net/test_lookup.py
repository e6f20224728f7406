"""Lookups: whoever asks for the same name at the same time asks once."""

import time

import gevent
import pytest
from gevent.event import Event

from greenh2._errors import ConnectError
from greenh2._net.bell import Bell
from greenh2._net.dns import Address
from greenh2._net.lookup import Lookup

FOUND: list[Address] = [(2, ("127.0.0.1", 80))]


class Slow:
    """A resolver that answers when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.questions: list[str] = []
        self.answers = Event()
        self._error = error

    def __call__(self, host: str, _port: int) -> list[Address]:
        self.questions.append(host)
        self.answers.wait()
        if self._error is not None:
            raise self._error
        return FOUND


def ask(resolver: Slow, seconds: float = 5.0, host: str = "a.example") -> list[Address]:
    bell = Bell()
    end = time.monotonic() + seconds
    with Lookup(resolver, host, 80, bell) as lookup:
        while not lookup.over:
            if not bell.wait(end - time.monotonic()):
                raise TimeoutError
    return lookup.answer()


def test_many_who_ask_at_once_ask_once() -> None:
    resolver = Slow()
    asking = [gevent.spawn(ask, resolver) for _ in range(30)]
    other = gevent.spawn(ask, resolver, host="b.example")
    gevent.sleep(0)
    gevent.sleep(0)
    resolver.answers.set()
    gevent.joinall([*asking, other], raise_error=True)
    assert resolver.questions == ["a.example", "b.example"]
    assert [job.get() for job in asking] == [FOUND] * 30


def test_an_answer_is_not_kept() -> None:
    resolver = Slow()
    resolver.answers.set()
    assert ask(resolver) == ask(resolver) == FOUND
    assert len(resolver.questions) == 2


def test_each_gets_an_error_of_its_own() -> None:
    resolver = Slow(ConnectError("no such name"))
    resolver.answers.set()
    asking = [gevent.spawn(ask, resolver) for _ in range(3)]
    gevent.joinall(asking)
    assert [str(job.exception) for job in asking] == ["no such name"] * 3
    assert len({id(job.exception) for job in asking}) == 3


class Particular(Exception):
    """An error of a resolver's own, which copy.copy() cannot make again."""

    def __init__(self, host: str, *, why: str) -> None:
        super().__init__(f"{host}: {why}")


def test_an_error_that_has_no_copies_reaches_all_as_it_is() -> None:
    resolver = Slow(Particular("a.example", why="today is a holiday"))
    resolver.answers.set()
    asking = [gevent.spawn(ask, resolver) for _ in range(3)]
    gevent.joinall(asking)
    assert [str(job.exception) for job in asking] == ["a.example: today is a holiday"] * 3


def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    resolver = Slow()
    hasty = gevent.spawn(ask, resolver, 0.05)
    patient = gevent.spawn(ask, resolver)
    gevent.joinall([hasty])
    assert isinstance(hasty.exception, TimeoutError)
    resolver.answers.set()
    assert patient.get(timeout=5) == FOUND
    assert len(resolver.questions) == 1


def test_what_all_have_given_up_is_asked_anew() -> None:
    resolver = Slow()
    with pytest.raises(TimeoutError):
        ask(resolver, 0.05)
    resolver.answers.set()
    assert ask(resolver) == FOUND
    assert len(resolver.questions) == 2


@pytest.mark.parametrize("begun", [True, False])
def test_whoever_kills_the_greenlet_that_asks_lets_nobody_wait_for_ever(begun: bool) -> None:
    resolver = Slow()
    bell = Bell()
    with Lookup(resolver, "a.example", 80, bell) as lookup:
        if begun:
            gevent.sleep(0)
        lookup._lookup.asking.kill(block=False)
        assert bell.wait(5.0)
    assert lookup.over
    with pytest.raises(ConnectError, match="killed"):
        lookup.answer()
    assert len(resolver.questions) == begun
