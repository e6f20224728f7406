"""The loop stays awake for answers of a peer that is near, for a moment, and sleeps when that is not worth it."""

import random
import time

import gevent
import pytest

import greenh2
from greenh2._connection.vigil import Nearness, Vigil
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

WORTH = 250e-6
#: What is near while the loop sleeps, and while it is awake.
NEAR, FAR = 300e-6, 2e-3
MANY = 5000


class Times(Vigil):
    """Counts how often it was kept, and keeps no loop awake."""

    def __init__(self) -> None:
        super().__init__(WORTH)
        self.kept = 0

    def keep(self, nearness: Nearness) -> None:
        self.kept += 1


class Exchanges:
    """Requests and answers, at times that a test tells."""

    def __init__(self) -> None:
        self.vigil = Times()
        self.nearness = Nearness(self.vigil)
        self.now = 1.0

    def __call__(self, *took: float) -> int:
        """Let answers take so long, and return for how many of them the loop stayed awake."""
        before = self.vigil.kept
        for seconds in took:
            self.nearness.ask(self.now)
            self.now += seconds
            self.nearness.answer(self.now)
        return self.vigil.kept - before


@pytest.fixture
def exchanges() -> Exchanges:
    return Exchanges()


def test_the_loop_stays_awake_after_four_near_answers_in_a_row(exchanges: Exchanges) -> None:
    assert exchanges(NEAR, NEAR, NEAR, FAR, NEAR, NEAR, NEAR, NEAR) == 0
    assert exchanges(*[WORTH / 2] * MANY) == MANY


def test_the_loop_sleeps_for_a_peer_that_is_far(exchanges: Exchanges) -> None:
    assert exchanges(*[FAR] * MANY) == 0


def test_a_late_answer_does_not_end_it(exchanges: Exchanges) -> None:
    exchanges(*[NEAR] * 4)
    assert exchanges(*([WORTH / 2] * 9 + [60.0]) * 100) == 1000


def test_a_peer_that_has_become_far_is_slept_for_soon(exchanges: Exchanges) -> None:
    exchanges(*[NEAR] * 4, *[WORTH / 2] * MANY)
    assert exchanges(*[FAR] * MANY) < 10


def test_a_peer_that_is_near_for_who_sleeps_and_not_for_who_wakes_is_tried_ever_more_seldom(
    exchanges: Exchanges,
) -> None:
    exchanges(*[NEAR] * MANY)
    assert 0 < exchanges(*[NEAR] * MANY) < MANY * 0.02


def test_what_was_tried_in_vain_is_tried_again(exchanges: Exchanges) -> None:
    exchanges(*[NEAR] * MANY)
    exchanges(*[WORTH / 2] * 1024)
    assert exchanges(*[WORTH / 2] * MANY) == MANY


def test_on_average_it_is_worth_it_whatever_the_answers_take(exchanges: Exchanges) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(100):
        typical = chance.uniform(0, 4 * WORTH)
        awake, spent = 0, 0.0
        for _ in range(500):
            seconds = chance.expovariate(1 / typical)
            if exchanges(seconds):
                awake += 1
                spent += min(seconds, 2 * WORTH)
        assert spent <= awake * WORTH * 1.2 + 10 * WORTH, f"seed {seed}"


def test_what_arrives_unasked_is_no_answer(exchanges: Exchanges) -> None:
    for _ in range(10):
        exchanges.nearness.answer(exchanges.now)
    assert exchanges(FAR, NEAR) == 0


def test_what_was_heard_before_is_no_answer(exchanges: Exchanges) -> None:
    exchanges.nearness.ask(exchanges.now)
    exchanges.nearness.answer(exchanges.now - 1.0)
    assert exchanges.nearness.asked == exchanges.now
    exchanges.nearness.answer(exchanges.now + FAR)
    assert exchanges(NEAR, NEAR, NEAR) == 0


def test_the_first_of_many_requests_counts(exchanges: Exchanges) -> None:
    exchanges(*[NEAR] * 4, *[WORTH / 2] * MANY)
    before = exchanges.vigil.kept
    for _ in range(100):
        for _ in range(20):
            exchanges.nearness.ask(exchanges.now)
            exchanges.now += 100e-6
        exchanges.nearness.answer(exchanges.now)
    assert exchanges.vigil.kept - before < 10


# -- the loop ------------------------------------------------------------------------------------------------

#: Long enough for a slow machine (seconds): the most that Limits take.
LONG = 0.01


class Rounds:
    """Counts how often the loop goes round."""

    def __init__(self) -> None:
        self.count = 0
        self._watcher = gevent.get_hub().loop.check()

    def __enter__(self) -> "Rounds":
        self._watcher.start(self._turn)
        return self

    def __exit__(self, *error: object) -> None:
        self._watcher.stop()
        self._watcher.close()

    def _turn(self) -> None:
        self.count += 1


def keep(vigil: Vigil) -> Nearness:
    nearness = Nearness(vigil)
    nearness.asked = time.monotonic()
    vigil.keep(nearness)
    return nearness


def test_a_loop_that_is_kept_awake_goes_round_and_round_until_it_was_not_worth_it() -> None:
    vigil = Vigil(LONG)
    with Rounds() as asleep:
        gevent.sleep(6 * LONG)
    keep(vigil)
    with Rounds() as awake:
        gevent.sleep(6 * LONG)
    with Rounds() as again:
        gevent.sleep(6 * LONG)
    assert awake.count > 5 * max(asleep.count, again.count)


def test_a_loop_that_is_kept_awake_sleeps_once_all_have_answered() -> None:
    vigil = Vigil(3600.0)
    vigil.expected.pop(keep(vigil))
    with Rounds() as rounds:
        gevent.sleep(0.1)
    assert rounds.count < 10


def test_one_peer_is_waited_for_no_longer_for_what_another_is_asked() -> None:
    vigil = Vigil(LONG)
    mute = keep(vigil)
    end = time.monotonic() + 4 * LONG
    while time.monotonic() < end:
        vigil.expected.pop(keep(vigil))
        gevent.sleep(0.001)
    assert mute not in vigil.expected
    vigil.stop()


def test_what_others_do_when_the_loop_is_idle_is_done() -> None:
    vigil = Vigil(3600.0)
    keep(vigil)
    with gevent.Timeout(5.0):
        gevent.idle(-2)
    vigil.stop()


def test_who_has_something_to_do_is_not_held_up() -> None:
    vigil = Vigil(3600.0)
    keep(vigil)
    with gevent.Timeout(5.0):
        gevent.joinall([gevent.spawn(gevent.sleep, 0.001) for _ in range(10)])
    vigil.stop()


def test_a_vigil_that_was_stopped_can_be_kept_again() -> None:
    vigil = Vigil(3600.0)
    for _ in range(2):
        keep(vigil)
        with Rounds() as rounds:
            gevent.sleep(0.02)
        vigil.stop()
        vigil.stop()
        assert rounds.count > 10


# -- clients ---------------------------------------------------------------------------------------------------


Near = tuple[greenh2.Client, str]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Vigil]:
    """The vigils of clients, once for each time that one was kept."""
    times: list[Vigil] = []
    keep = Vigil.keep

    def note(self: Vigil, nearness: Nearness) -> None:
        times.append(self)
        keep(self, nearness)

    monkeypatch.setattr(Vigil, "keep", note)
    return times


@pytest.fixture
def near(origin: OriginFactory, make_client: MakeClient, kept: list[Vigil], alpn: tuple[str]) -> Near:
    """A client that stays awake for the answers of a server, and the server's URL; it has done so for some."""
    server = origin(alpn=alpn)
    client = make_client(limits=greenh2.Limits(busy_poll=LONG))
    for _ in range(200):
        client.get(server.url)
        if len(kept) >= 10:
            return client, server.url
    pytest.fail("the server was not near enough")


@BOTH
def test_a_client_stays_awake_for_the_answers_of_a_server_that_is_near(near: Near, kept: list[Vigil]) -> None:
    client, _ = near
    assert not kept[-1].expected
    client.close()
    with Rounds() as rounds:
        gevent.sleep(0.05)
    assert rounds.count < 10


@BOTH
def test_a_client_sleeps_where_it_is_told_to(
    origin: OriginFactory, make_client: MakeClient, kept: list[Vigil], alpn: tuple[str]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(limits=greenh2.Limits(busy_poll=0))
    for _ in range(20):
        client.get(server.url)
    assert not kept


@BOTH
def test_the_answer_to_an_upload_is_slept_for_until_all_is_sent(near: Near, kept: list[Vigil]) -> None:
    client, url = near
    kept.clear()
    client.post(f"{url}/echo", content=(b"x" * 16384 for _ in range(64)))
    assert len(kept) < 16
