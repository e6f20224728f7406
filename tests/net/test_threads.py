"""What is called in the loop of another native thread, which may end at any moment."""

from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from greenh2._net.threads import call_in


def test_a_function_is_called_in_the_loop_of_a_hub() -> None:
    called: list[object] = []
    call_in(gevent.get_hub(), called.append, "there")
    assert not called
    gevent.sleep(0)
    assert called == ["there"]


@pytest.mark.parametrize("gone", ["forgotten", "destroyed", "half destroyed"])
def test_nothing_is_called_in_a_loop_that_is_gone_or_is_just_going(gone: str) -> None:
    # A hub that is being destroyed, in its own thread, forgets its loop only when that is destroyed.
    loop: Any = type(gevent.get_hub().loop)(default=False)  # type: ignore[call-arg]  # which every loop takes
    if gone == "half destroyed" and hasattr(loop, "_threadsafe_async"):  # libuv's closes this first
        loop._threadsafe_async.close()
    else:
        loop.destroy()
    hub: Any = SimpleNamespace(loop=None if gone == "forgotten" else loop)
    called: list[object] = []
    call_in(hub, called.append, "nowhere")
    gevent.sleep(0)
    assert not called
    loop.destroy()
