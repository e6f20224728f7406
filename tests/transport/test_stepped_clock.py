"""The system's clock is set by an hour, either way, under idle connections and busy ones."""

import json
import os
import sys
from pathlib import Path

import gevent

from tests.support.origins import OriginFactory
from tests.support.processes import Child


def test_a_step_of_the_clock_closes_nothing_keeps_nothing_and_moves_no_timeout(
    origin: OriginFactory, tmp_path: Path
) -> None:
    server = origin(tls=False, alpn=("h2",))
    runs = [("h2", 3600), ("h2", -3600), ("http/1.1", 3600), ("http/1.1", -3600)]
    programs = []
    for number, (protocol, seconds) in enumerate(runs):  # all at once: they mostly wait
        out = os.open(tmp_path / f"told{number}", os.O_WRONLY | os.O_CREAT, 0o600)
        command = [sys.executable, "-m", "tests.transport.stepped", server.url, protocol, str(seconds)]
        programs.append(Child(command, tmp_path / f"log{number}", stdout=out))
        os.close(out)
    with gevent.Timeout(60):
        while not all(program.has_ended() for program in programs):
            gevent.sleep(0.01)
    for number, (protocol, _) in enumerate(runs):
        text = (tmp_path / f"told{number}").read_text()
        assert text, (tmp_path / f"log{number}").read_text()
        told = json.loads(text)
        assert told["loop"] == "SteppedLoop"
        assert told["version"].lower().startswith("http/2" if protocol == "h2" else "http/1.1")
        assert told["busy"] == 200
        assert "Connections: 1 open" in told["dump"]
        assert "4 requests so far" in told["dump"], told["dump"]  # all over one connection
        assert told["late"] == "ReadTimeout"
        assert 0.4 < told["waited"] < 4
        assert 0.2 < told["expired"] < 4
