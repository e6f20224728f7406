"""Mutated answers of servers: each ends in a response or in an error of greenh2's, and leaves nothing behind."""

import pytest

from tests.fuzz.runner import run


@pytest.mark.parametrize("seed", [1, 2])
def test_no_answer_hangs_a_client_or_lets_anything_escape(seed: int) -> None:
    tally = run(seed, range(200))
    assert tally.failures == []
    assert tally.cases == 200
    assert tally.outcomes["2xx"] > 50
    assert tally.outcomes["RemoteProtocolError"] > 20
