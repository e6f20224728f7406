"""Names become addresses through gevent's resolver; addresses need none."""

import socket
from collections.abc import Iterator

import gevent
import pytest

from greenh2._errors import ConnectError
from greenh2._net.dns import resolve


class Asked:
    """A resolver that remembers what it was asked."""

    def __init__(self, *found: tuple[object, ...]) -> None:
        self.questions: list[object] = []
        self._found = found

    def getaddrinfo(self, host: object, *rest: object) -> list[tuple[object, ...]]:
        self.questions.append(host)
        return list(self._found)


@pytest.fixture
def asked() -> Iterator[Asked]:
    hub = gevent.get_hub()
    before = hub.resolver
    resolver = Asked(
        (socket.AF_INET6, 1, 6, "", ("::1", 80, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80)),
        (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80)),
    )
    hub.resolver = resolver  # type: ignore[assignment]  # it has all that is used of one
    yield resolver
    hub.resolver = before


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", (socket.AF_INET, ("127.0.0.1", 443))),
        ("::1", (socket.AF_INET6, ("::1", 443, 0, 0))),
    ],
)
def test_an_address_is_its_own_answer(asked: Asked, host: str, expected: object) -> None:
    assert resolve(host, 443) == [expected]
    assert asked.questions == []


@pytest.mark.parametrize("host", ["localhost", "fe80::1%lo"])
def test_names_and_scoped_addresses_are_asked_for_and_answered_once(asked: Asked, host: str) -> None:
    assert resolve(host, 80) == [(socket.AF_INET6, ("::1", 80, 0, 0)), (socket.AF_INET, ("127.0.0.1", 80))]
    assert asked.questions == [host]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".invalid", "bad..name"])
def test_a_name_that_is_not_known_is_named_in_the_error_and_nowhere_else(
    host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConnectError, match=f"the name '{host}' could not be resolved"):
        resolve(host, 443)
    assert capfd.readouterr() == ("", "")


def test_other_greenlets_run_while_a_name_is_looked_up() -> None:
    other = gevent.spawn(lambda: "ran")
    assert ("127.0.0.1", 80) in [address for _, address in resolve("localhost", 80)]
    assert other.ready()


class OutOfThreads:
    """A resolver for which the system has no more threads: its limit of processes has been reached."""

    def getaddrinfo(self, *question: object) -> list[object]:
        raise RuntimeError("can't start new thread")


def test_a_process_that_may_have_no_more_threads_is_told_so_in_an_error_of_ours(asked: Asked) -> None:
    gevent.get_hub().resolver = OutOfThreads()  # type: ignore[assignment]  # `asked` puts the real one back

    with pytest.raises(ConnectError, match=r"'localhost' could not be resolved: can't start new thread"):
        resolve("localhost", 80)
