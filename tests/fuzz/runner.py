"""Runs cases: each is a server that says a mutated transcript and ends, and a client that must not mind."""

import sys
import traceback
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast
from unittest import mock

import gevent
from gevent import socket
from gevent.server import StreamServer

import greenh2
from greenh2 import _client
from tests.fuzz.mutation import mutate, portions
from tests.fuzz.transcripts import HTTP1, HTTP2, Stage, Transcript
from tests.support.leaks import Census

#: Seconds that a case may take.  The server closes at once, so that whoever meets this was left waiting.
PATIENCE = 10.0
#: How long a server waits for a request that may never come, because the one before it failed (seconds).
_LULL = 0.003
_PREFACE = 24
_HEADERS = 1


@dataclass
class Tally:
    """What came of the cases."""

    cases: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class Server:
    """Says the transcript of the present case on every connection."""

    def __init__(self) -> None:
        self._transcript: Transcript = []
        self._random = Random(0)
        self._http2 = True
        self._listener = StreamServer(("127.0.0.1", 0), self._serve)
        self._listener.start()
        self.url = f"http://127.0.0.1:{self._listener.server_port}/"

    def prepare(self, transcript: Transcript, random: Random, *, http2: bool) -> None:
        self._transcript, self._random, self._http2 = transcript, random, http2

    def close(self) -> None:
        self._listener.stop()

    def _serve(self, sock: socket.socket, _: object) -> None:
        heard = bytearray()
        try:
            for number, stage in enumerate(self._transcript, 1):
                while self._requests(heard) < number:
                    sock.settimeout(PATIENCE if number == 1 else _LULL)
                    data = sock.recv(65536)
                    if not data:
                        return
                    heard += data
                self._say(sock, stage)
        except OSError:
            return  # the client has left, or sends no other request
        finally:
            sock.close()

    def _say(self, sock: socket.socket, stage: Stage) -> None:
        for portion in portions(self._random, b"".join(stage)):
            sock.sendall(portion)
            gevent.sleep(0)

    def _requests(self, heard: bytearray) -> int:
        if not self._http2:
            return heard.count(b"\r\n\r\n")
        count, position = 0, _PREFACE
        while position + 9 <= len(heard):
            count += heard[position + 3] == _HEADERS
            position += 9 + int.from_bytes(heard[position : position + 3], "big")
        return count


class Fuzzer:
    """A server and two clients, for as many cases as one likes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.tally = Tally()
        self._server = Server()
        # Sent again at once: the pause between attempts is not what is looked for.
        with mock.patch.object(_client, "pause", lambda _: gevent.sleep(0)):
            self._clients = {http2: self._client(http2) for http2 in (True, False)}
        self._escaped: list[str] = []
        self._hub = cast("Any", gevent.get_hub())
        self._hub.print_exception = self._on_escape

    def _client(self, http2: bool) -> greenh2.Client:
        return greenh2.Client(
            http2="prior-knowledge" if http2 else False,
            timeout=greenh2.Timeout(PATIENCE, total=PATIENCE),
            limits=greenh2.Limits(max_connections=2),
            follow_redirects=True,
        )

    def _on_escape(self, context: object, kind: Any, value: Any, trace: Any) -> None:
        self._escaped.append("".join(traceback.format_exception(kind, value, trace)))

    def run(self, number: int) -> None:
        """Run the case of this number."""
        random = Random(f"{self.seed}:{number}")
        http2 = random.random() < 0.6
        transcript = mutate(random, random.choice(HTTP2 if http2 else HTTP1)(random))
        self._server.prepare(transcript, random, http2=http2)
        client = self._clients[http2]
        for _ in range(len(transcript)):
            self._request(number, client)
        for escaped in self._escaped:
            self._fail(number, f"escaped into the hub:\n{escaped}")
        self._escaped.clear()
        self.tally.cases += 1

    def _request(self, number: int, client: greenh2.Client) -> None:
        try:
            response = client.get(self._server.url)
        except greenh2.TimeoutException:
            self._fail(number, f"was left waiting:\n{traceback.format_exc()}")
        except greenh2.HTTPError as error:
            if "could not be understood" in str(error):  # nothing foreseen: the last net of a connection
                self._fail(number, traceback.format_exc())
            self.tally.count(type(error).__name__)
        except Exception:
            self._fail(number, traceback.format_exc())
        else:
            self.tally.count(str(response.status_code // 100) + "xx")

    def _fail(self, number: int, what: str) -> None:
        self.tally.failures.append(f"--seed {self.seed} --case {number}: {what}")

    def close(self) -> None:
        """End server and clients, and look whether all that was taken was given back."""
        for client in self._clients.values():
            if " 0 streams, 0 waiting" not in repr(client):
                self._fail(-1, f"places are held though nobody asks: {client.dump()}")
            client.close()
        self._server.close()
        del self._hub.print_exception


def run(seed: int, numbers: range, *, progress: bool = False) -> Tally:
    """Run these cases, and look for greenlets and descriptors that outlive them."""
    census = Census()
    fuzzer = Fuzzer(seed)
    for number in numbers:
        fuzzer.run(number)
        if progress and number % 1000 == 999:
            print(f"{number + 1} cases, {len(fuzzer.tally.failures)} failures", file=sys.stderr)
    fuzzer.close()
    for left in census.leaks():
        fuzzer.tally.failures.append(f"--seed {seed}: outlived all cases: {left}")
    return fuzzer.tally
