"""The process that houses origins: opens them, tells what they saw, closes them, as its input asks."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
from dataclasses import asdict
from typing import Any

from tests.support.h2origin.door import Door
from tests.support.h2origin.record import ConnectionRecord, Options, RequestRecord


class Origin:
    """One listening origin with all that it has seen."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.connections: list[ConnectionRecord] = []
        self.requests: list[RequestRecord] = []
        self.doors: set[Door] = set()
        self.refusals_left = options.refuse_streams
        self.context = _context(options) if options.tls else None
        self._servers: list[asyncio.Server] = []

    async def open(self) -> int:
        """Listen on 127.0.0.1, and on the same port of ::1 where there is one; return the port."""
        loop = asyncio.get_running_loop()
        four = socket.create_server(("127.0.0.1", 0), backlog=1024)
        port: int = four.getsockname()[1]
        self._servers.append(await loop.create_server(lambda: Door(self), sock=four, backlog=1024))
        with contextlib.suppress(OSError):
            six = socket.create_server(("::1", port), family=socket.AF_INET6, backlog=1024)
            self._servers.append(await loop.create_server(lambda: Door(self), sock=six, backlog=1024))
        return port

    def stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self) -> None:
        self.stop_listening()
        for door in list(self.doors):
            door.close(abruptly=True)


def _context(options: Options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    if options.alpn:
        context.set_alpn_protocols(list(options.alpn))
    if options.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.client_ca)
    return context


class House:
    """Every origin of this process, by number."""

    def __init__(self) -> None:
        self._origins: dict[int, Origin] = {}
        self._next = 0

    async def obey(self, order: str, number: int, values: dict[str, Any]) -> object:
        if order == "open":
            origin = Origin(Options(**{**values, "alpn": tuple(values["alpn"])}))
            port = await origin.open()
            self._next += 1
            self._origins[self._next] = origin
            return {"number": self._next, "port": port}
        if order == "close":
            self._origins.pop(number).close()
            return None
        origin = self._origins[number]
        if order == "stats":
            return {
                "connections": [asdict(record) for record in origin.connections],
                "requests": [asdict(record) for record in origin.requests],
            }
        doors = sorted(origin.doors, key=lambda door: door.record.id)
        match order:
            case "deafen":
                origin.stop_listening()
            case "drop":
                for door in doors:
                    door.close(abruptly=True)
            case "hang-up":
                for door in doors:
                    door.close()
            case "freeze":
                for door in doors:
                    door.freeze()
            case "goaway":
                for wire in [door.wire for door in doors]:
                    if wire is not None:
                        wire.goaway(values["code"], values["last"])
            case "settings":
                for wire in [door.wire for door in doors]:
                    if wire is not None:
                        wire.settings(values)
            case _:
                raise ValueError(f"no such order: {order}")
        return None


async def keep_house(orders: int, reports: int) -> None:
    """Obey one JSON line after the other until the input ends."""
    house = House()
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(orders, "rb"))
    while line := await reader.readline():
        order = json.loads(line)
        try:
            report = {"result": await house.obey(order["order"], order["number"], order["values"])}
        except Exception as exc:
            report = {"error": f"{type(exc).__name__}: {exc}"}
        answer = json.dumps(report).encode() + b"\n"
        while answer:
            answer = answer[os.write(reports, answer) :]


def main() -> None:
    """Keep what is printed by mistake out of the reports: they leave by a copy of standard output."""
    reports = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    asyncio.run(keep_house(os.dup(0), reports))
