"""What an import of greenh2 brings along, and that the rest comes when it is wanted, in whatever order and wherever."""

from __future__ import annotations

import subprocess
import sys

import pytest

import greenh2
from tests.support.certificates import Certificates
from tests.support.origins import OriginFactory

#: What few programs want, or only those that use the network: with an import of greenh2 none of it comes.
LATER = {
    *("asyncio", "base64", "certifi", "copy", "dataclasses", "email", "gevent.lock", "gevent.monkey"),
    *(
        "gevent.socket",
        "gevent.ssl",
        "h11",
        "h2",
        "hashlib",
        "hpack",
        "http.client",
        "http.cookiejar",
        "idna",
    ),
    *("inspect", "json", "logging", "mimetypes", "netrc", "random", "selectors", "socket", "ssl", "tempfile"),
    *("threading", "urllib.request"),
    *("greenh2._middleware.digest", "greenh2._middleware.netrc", "greenh2._transport", "greenh2._wsgi"),
    *("greenh2._models.cookie_policy", "greenh2._models.environment", "greenh2._models.mounts"),
    *("greenh2._models.multipart", "greenh2._models.optional_decoders"),
}
TLS = ("certifi", "gevent.ssl", "greenh2._net.tls", "ssl")
NETWORK = ("greenh2._connection", "greenh2._net.", "greenh2._pool", "greenh2._protocol", "greenh2.adapters")


def run(program: str, *arguments: str) -> str:
    """Run a program in a process of its own, warnings as errors, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def brought(program: str, *arguments: str) -> set[str]:
    """Return the modules that a program loads beyond those of gevent."""
    begin = "import sys, gevent; before = set(sys.modules); "
    return set(run(f"{begin}{program}; print(*sorted(set(sys.modules) - before))", *arguments).split())


def test_an_import_brings_neither_the_network_nor_what_few_programs_want() -> None:
    loaded = brought("import greenh2")
    assert "greenh2._client" in loaded
    assert loaded & LATER == set()


def test_of_the_network_an_import_brings_only_what_knows_forks() -> None:
    loaded = brought("import greenh2")
    assert {name for name in loaded if name.startswith(NETWORK)} == {"greenh2._net.process"}


def test_a_client_with_another_transport_brings_no_network() -> None:
    program = (
        "import greenh2; "
        "client = greenh2.Client(transport=greenh2.MockTransport(lambda request: greenh2.Response(204))); "
        "assert client.get('https://a.example/').status_code == 204"
    )
    loaded = brought(program)
    assert {name for name in loaded if name.startswith(NETWORK)} == {"greenh2._net.process"}


def test_a_client_brings_neither_tls_nor_a_protocol() -> None:
    loaded = brought("import greenh2; greenh2.Client()")
    assert "greenh2._pool.pool" in loaded
    assert loaded & {*TLS, "h2", "h11", "http.cookiejar", "random"} == set()


def test_a_plain_request_brings_neither_tls_nor_a_jar(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    loaded = brought("import greenh2; greenh2.Client(trust_env=False).get(sys.argv[1])", server.url)
    assert server.stats().paths == ["/"]
    assert "h11" in loaded
    assert loaded & {*TLS, "h2", "http.cookiejar", "random"} == set()


@pytest.mark.parametrize("name", sorted(greenh2._LATER))
def test_a_name_that_comes_later_comes_when_it_is_asked_for(name: str) -> None:
    program = (
        "import sys, greenh2; name = sys.argv[1]; first = name in vars(greenh2); "
        "print(first, getattr(greenh2, name).__name__, name in vars(greenh2))"
    )
    assert run(program, name) == f"False {name} True\n"


def test_a_star_brings_every_public_name() -> None:
    assert (
        run("from greenh2 import *; import greenh2; print(set(greenh2.__all__) - set(globals()))")
        == "set()\n"
    )


def test_dir_tells_of_names_that_have_not_come_yet() -> None:
    assert run("import greenh2; print(set(greenh2.__all__) - set(dir(greenh2)))") == "set()\n"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'greenh2' has no attribute 'Custommer'"):
        _ = greenh2.Custommer  # type: ignore[attr-defined]  # the point of it


@pytest.mark.parametrize("name", ["Client", "HTTPTransport", "get", "head", "options", "delete"])
def test_a_signature_can_be_evaluated_though_what_it_names_has_not_come_yet(name: str) -> None:
    program = (
        "import inspect, ssl, sys, greenh2; "
        "told = inspect.signature(getattr(greenh2, sys.argv[1]), eval_str=True).parameters['verify'].annotation; "
        "print(ssl.SSLContext in told.__args__)"
    )
    assert run(program, name) == "True\n"


BEGUN_AT_ONCE = """
import sys, gevent, greenh2
url, authority = sys.argv[1:]
seen = []

def begin():
    {wait}
    greenh2.create_ssl_context(authority)
    with greenh2.Client(verify=authority, trust_env=False) as client:
        seen.append(client.get(url).status_code)

{start}
print(sorted(seen))
"""


def test_many_native_threads_may_make_the_first_client_at_once(
    origin: OriginFactory, certificates: Certificates
) -> None:
    start = (
        "import threading\n"
        "ready = threading.Barrier(8)\n"
        "threads = [threading.Thread(target=begin) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    program = BEGUN_AT_ONCE.format(wait="ready.wait()", start=start)
    assert run(program, origin().url, certificates.ca_file) == f"{[200] * 8}\n"


def test_many_native_threads_that_ask_for_a_jar_at_once_get_the_same() -> None:
    program = """
import threading, greenh2
cookies, ready, seen = greenh2.Cookies(), threading.Barrier(8), []

def ask():
    ready.wait()
    seen.append(cookies.jar)

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(seen), len(set(map(id, seen))))
"""
    assert run(program) == "8 1\n"


@pytest.mark.parametrize("patch", ["", "import gevent.monkey; gevent.monkey.patch_all()\n"])
def test_many_greenlets_may_make_the_first_client_at_once(
    origin: OriginFactory, certificates: Certificates, patch: str
) -> None:
    start = f"{patch}gevent.joinall([gevent.spawn(begin) for _ in range(8)], raise_error=True)"
    program = BEGUN_AT_ONCE.format(wait="gevent.sleep(0)", start=start)
    assert run(program, origin().url, certificates.ca_file) == f"{[200] * 8}\n"


ORDERS = {
    "patch, import, client": "gevent.monkey.patch_all(); import greenh2; client = made(greenh2)",
    "import, patch, client": "import greenh2; gevent.monkey.patch_all(); client = made(greenh2)",
    "import, client, patch": "import greenh2; client = made(greenh2); gevent.monkey.patch_all()",
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_import_client_and_patching_does_not_matter(
    origin: OriginFactory, certificates: Certificates, order: str
) -> None:
    program = (
        "import sys, gevent.monkey\n"
        "def made(greenh2): return greenh2.Client(verify=sys.argv[2], trust_env=False)\n"
        f"{ORDERS[order]}\n"
        "response = client.get(sys.argv[1]); print(response.status_code, response.http_version)\n"
    )
    assert run(program, origin().url, certificates.ca_file) == "200 HTTP/2\n"


def test_a_child_of_a_fork_that_gevent_does_not_know_may_make_the_first_client(
    origin: OriginFactory, certificates: Certificates
) -> None:
    program = (
        "import os, sys, warnings, gevent.socket, greenh2\n"
        "gevent.socket.getaddrinfo('localhost', 80)  # by threads that the child will not have\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # that there are threads\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    response = greenh2.Client(verify=sys.argv[2], trust_env=False).get(sys.argv[1])\n"
        "    os._exit(response.status_code != 200)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert run(program, origin().url, certificates.ca_file) == "0\n"
