"""Origins for tests to talk to: the near end of tests/support/h2origin.

    def test_something(origin, certificates):
        server = origin(alpn=("h2",), max_concurrent_streams=10)
        ...
        assert len(server.stats().connections) == 1

Asking an origin for anything takes about a millisecond and never switches greenlets.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gevent

from tests.support.certificates import Certificates
from tests.support.h2origin.record import ConnectionRecord, Options, RequestRecord
from tests.support.processes import Child


@dataclass(frozen=True, slots=True)
class Stats:
    """What an origin has seen so far, oldest first."""

    connections: tuple[ConnectionRecord, ...]
    requests: tuple[RequestRecord, ...]

    @property
    def open(self) -> tuple[ConnectionRecord, ...]:
        """The connections that are not closed."""
        return tuple(record for record in self.connections if record.closed is None)

    @property
    def resets(self) -> list[int]:
        """The code of every RST_STREAM received, over all connections."""
        return [code for record in self.connections for code in record.resets]

    @property
    def paths(self) -> list[str]:
        return [record.path for record in self.requests]


class OriginHouse:
    """The process in which all origins of a test session live."""

    def __init__(self, log: Path) -> None:
        self._log = log
        child_reads, self._orders = os.pipe()
        self._reports, child_writes = os.pipe()
        command = [sys.executable, "-m", "tests.support.h2origin"]
        self._process = Child(command, log, stdin=child_reads, stdout=child_writes)
        os.close(child_reads)
        os.close(child_writes)
        self._unread = b""

    def ask(self, order: str, number: int = 0, values: Mapping[str, object] | None = None) -> Any:
        """Send one order and wait for its report; the pipes are read natively: no greenlet runs meanwhile."""
        line = json.dumps({"order": order, "number": number, "values": values or {}}).encode() + b"\n"
        os.write(self._orders, line)
        while b"\n" not in self._unread:
            piece = os.read(self._reports, 1 << 20)
            if not piece:
                raise RuntimeError(f"the origins' process has died:\n{self._log.read_text()}")
            self._unread += piece
        answer, _, self._unread = self._unread.partition(b"\n")
        report = json.loads(answer)
        if "error" in report:
            raise RuntimeError(f"{order}: {report['error']}")
        return report["result"]

    def close(self) -> None:
        """The end of its input ends the process."""
        os.close(self._orders)
        os.close(self._reports)
        self._process.stop()


class Origin:
    """One origin, listening on loopback."""

    def __init__(self, house: OriginHouse, options: Options) -> None:
        self._house = house
        opened = house.ask("open", values=asdict(options))
        self._number: int = opened["number"]
        self._stopped = False
        self.port: int = opened["port"]
        self.scheme = "https" if options.tls else "http"
        self.url = self.at("localhost")

    def at(self, host: str) -> str:
        """The origin's URL by another of its names: ``origin.at("a.localhost")``."""
        return f"{self.scheme}://{host}:{self.port}"

    def stats(self) -> Stats:
        seen = self._house.ask("stats", self._number)
        return Stats(
            tuple(ConnectionRecord(**record) for record in seen["connections"]),
            tuple(
                RequestRecord(**{**record, "headers": [(name, value) for name, value in record["headers"]]})
                for record in seen["requests"]
            ),
        )

    def wait_until(self, condition: Callable[[Stats], bool], timeout: float = 10.0) -> Stats:
        """Let greenlets run until the origin has seen what is asked for; fail with what it saw instead."""
        deadline = time.monotonic() + timeout
        while not condition(stats := self.stats()):
            if time.monotonic() > deadline:
                seen = "\n".join(map(str, (*stats.connections, *stats.paths)))
                raise AssertionError(f"not within {timeout} s; the origin saw\n{seen}")
            gevent.sleep(0.005)
        return stats

    def settings(self, **values: int) -> None:
        """Send new SETTINGS on every open connection: ``origin.settings(max_concurrent_streams=0)``."""
        self._house.ask("settings", self._number, values)

    def goaway(self, code: int = 0, last: int | None = None) -> None:
        """Send GOAWAY on every open connection (HTTP/1.1: the next answer is the last); close each when done.

        `last` is the last stream id that will be answered; None stands for the highest seen.
        """
        self._house.ask("goaway", self._number, {"code": code, "last": last})

    def hang_up(self) -> None:
        """Close every open connection without a word of HTTP (TLS still says close_notify)."""
        self._house.ask("hang-up", self._number)

    def drop(self) -> None:
        """Abort every open connection."""
        self._house.ask("drop", self._number)

    def freeze(self) -> None:
        """Neither read nor write on the open connections any more, nor notice when the client closes them."""
        self._house.ask("freeze", self._number)

    def deafen(self) -> None:
        """Listen no longer: new connections are refused, open ones go on."""
        self._house.ask("deafen", self._number)

    def stop(self) -> None:
        """Listen no longer and abort every connection."""
        if not self._stopped:
            self._stopped = True
            self._house.ask("close", self._number)


class OriginFactory:
    """Opens origins; the fixture `origin` is one, and stops them after the test."""

    def __init__(self, house: OriginHouse, certificates: Certificates) -> None:
        self._house = house
        self._certificates = certificates
        self._opened: list[Origin] = []

    def __call__(
        self,
        *,
        alpn: Sequence[str] = ("h2",),
        tls: bool = True,
        certificate: str | None = None,
        client_ca: str = "",
        max_concurrent_streams: int | None = 100,
        initial_window_size: int | None = None,
        max_frame_size: int | None = None,
        idle_close: float | None = None,
        idle_goaway: bool = True,
        refuse_streams: int = 0,
        keepalive_requests: int | None = None,
        handshake_delay: float = 0.0,
    ) -> Origin:
        """Open an origin; h2origin/record.py has what the options mean, h2origin/paths.py the answers."""
        options = Options(
            alpn=tuple(alpn),
            tls=tls,
            certificate=self._certificates.server if certificate is None else certificate,
            client_ca=client_ca,
            max_concurrent_streams=max_concurrent_streams,
            initial_window_size=initial_window_size,
            max_frame_size=max_frame_size,
            idle_close=idle_close,
            idle_goaway=idle_goaway,
            refuse_streams=refuse_streams,
            keepalive_requests=keepalive_requests,
            handshake_delay=handshake_delay,
        )
        origin = Origin(self._house, options)
        self._opened.append(origin)
        return origin

    def stop(self) -> None:
        while self._opened:
            self._opened.pop().stop()
