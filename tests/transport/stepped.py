"""A program whose system clock is stepped while it works.

    python -m tests.transport.stepped http://localhost:1234 h2 3600

prints, as JSON, what its requests came to.  libev's loop follows the system's clock, and so does `time.time`; both are
stepped here, in a process of its own, because a loop is chosen once.
"""

import json
import os
import sys
import time
from typing import Any

import gevent

from tests.support import loopback

if os.environ.get("GEVENT_LOOP", "libev-cext").startswith("libuv"):
    from gevent.libuv.loop import loop as Loop  # noqa: N812
else:
    from gevent.libev.corecext import loop as Loop  # type: ignore[assignment]  # noqa: N812


class SteppedLoop(Loop):
    """The loop, with a system clock that can be set."""

    ahead = 0.0

    def now(self) -> float:
        return float(super().now()) + self.ahead


_time = time.time


def step(seconds: float) -> None:
    """Set the system's clock forward, or back."""
    SteppedLoop.ahead += seconds
    time.time = lambda: _time() + SteppedLoop.ahead


def main(url: str, seconds: float, *, http2: bool) -> dict[str, Any]:
    import greenh2

    told: dict[str, Any] = {"loop": type(gevent.get_hub().loop).__name__}
    limits = greenh2.Limits(keepalive_expiry=20.0)
    with greenh2.Client(timeout=10.0, limits=limits, http1=not http2, http2=http2) as client:
        told["version"] = client.get(url).http_version
        step(seconds)
        gevent.sleep(1.3)  # the reaper looks at least once a second
        client.get(url)
        busy = gevent.spawn(client.get, f"{url}/sleep/0.4")
        gevent.sleep(0.1)
        step(-seconds)
        told["busy"] = busy.get().status_code
        client.get(url)
        told["dump"] = client.dump()
        begun = time.monotonic()
        late = gevent.spawn(client.get, f"{url}/sleep/5", timeout=0.5)
        gevent.sleep(0.1)
        step(seconds)
        late.join()
        told["late"] = type(late.exception).__name__
        told["waited"] = time.monotonic() - begun
    with greenh2.Client(limits=greenh2.Limits(keepalive_expiry=0.3), http1=not http2, http2=http2) as client:
        client.get(url)
        step(-seconds)
        begun = time.monotonic()
        while "Connections: 0 open" not in client.dump() and time.monotonic() - begun < 10:
            gevent.sleep(0.02)
        told["expired"] = time.monotonic() - begun
    return told


if __name__ == "__main__":
    gevent.config.loop = SteppedLoop  # type: ignore[assignment]  # a class will do
    loopback.resolve_below_localhost()
    print(json.dumps(main(sys.argv[1], float(sys.argv[3]), http2=sys.argv[2] == "h2")))
