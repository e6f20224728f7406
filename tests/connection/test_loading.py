"""What speaks a protocol is loaded by the first dial that needs it, for which a process may have no descriptor left."""

import sys

import gevent
import gevent.subprocess
import pytest

from tests.support.certificates import Certificates
from tests.support.rawserver import RawServers

CHILD = """
import os
import resource
import sys

import gevent
import greenh2

url, http2, authority = sys.argv[1:]
client = greenh2.Client(http2=http2 == "prior-knowledge" and http2, verify=authority, timeout=20.0)
loop = gevent.get_hub().loop  # which has descriptors of its own
taken = [os.open(os.devnull, os.O_RDONLY)]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        taken.append(os.dup(taken[0]))
except OSError:
    os.close(taken.pop())  # one is left, for the socket
try:
    client.get(url)
except greenh2.ConnectError as exc:
    print(type(exc).__name__, "Too many open files" in str(exc), client)
for descriptor in taken:
    os.close(descriptor)
print(client.get(url).text)
"""


@pytest.mark.parametrize("kind", ["HTTP/1.1", "HTTP/2", "TLS"])
def test_a_dial_without_a_descriptor_for_what_it_loads_is_a_failed_dial_and_the_next_one_goes_on(
    kind: str, raw_server: RawServers, certificates: Certificates
) -> None:
    server = raw_server(tls=kind == "TLS", alpn=("http/1.1",))
    url = f"{server.url.partition(':')[0]}://127.0.0.1:{server.port}/"
    http2 = "prior-knowledge" if kind == "HTTP/2" else "no"
    command = [sys.executable, "-c", CHILD, url, http2, certificates.ca_file]
    child = gevent.spawn(gevent.subprocess.run, command, capture_output=True, text=True, timeout=60)

    server.accept_tcp().expect_end()
    peer = server.accept()
    if kind == "HTTP/2":
        peer.greet()
        peer.answer(peer.expect_request().stream_id, body=b"here")
    else:
        peer.read_until(b"\r\n\r\n")
        peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")

    done = child.get()
    assert done.stderr == ""
    failed, answered = done.stdout.splitlines()
    assert failed.startswith("ConnectError True ")
    assert "0 connections, 0 streams, 0 waiting" in failed
    assert answered == "here"
