"""nginx on loopback, with a folder, ports and a certificate of its own, gone when the block ends."""

from __future__ import annotations

import grp
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_READY_WITHIN = 10.0


class NoServer(Exception):
    """nginx cannot be started here; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running nginx: files called ``<size>.bin``, the same below ``/fields/<n>/`` with n more header fields.

    ``/upload`` answers 204 once it has the whole body.
    """

    version: str
    folder: Path
    ca_file: str
    h2: tuple[str, ...]
    """Base URLs that speak HTTP/2, an origin each."""
    h1: tuple[str, ...]
    """Base URLs that speak HTTP/1.1 alone."""

    def file(self, size: int) -> str:
        """Return the path of the file of so many bytes."""
        return str(self.folder / "htdocs" / f"{size}.bin")


@contextmanager
def serving(
    *, origins: int, sizes: Iterable[int], fields: Iterable[int], cores: set[int]
) -> Iterator[Server]:
    """Run nginx on these cores.  Raises NoServer if it is not installed or does not start."""
    program = shutil.which("nginx", path=_SYSTEM_PATH)
    if program is None:
        raise NoServer("nginx is not installed (Debian and Ubuntu: apt-get install nginx-light)")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="greenh2-benchmarks-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # nginx's workers may be another user
        htdocs = folder / "htdocs"
        htdocs.mkdir()
        for size in set(sizes):
            _write(htdocs / f"{size}.bin", size)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / "chain.pem"))
        *h2, h1, sink = _free_ports(origins + 2)
        (folder / "nginx.conf").write_text(_configuration(folder, h2=h2, h1=h1, sink=sink, fields=fields))
        log = stack.enter_context((folder / "output.log").open("wb"))
        command = [
            program,
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]
        process = subprocess.Popen(
            [*_die_with_us(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        stack.callback(_stop, process)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, cores)  # before it starts its worker, in all likelihood
        for port in (*h2, h1, sink):
            _wait_for(port, process, folder)
        for pid in _children(process.pid):
            os.sched_setaffinity(pid, cores)
        yield Server(
            version=_version(program),
            folder=folder,
            ca_file=str(folder / "ca.pem"),
            h2=tuple(f"https://127.0.0.1:{port}" for port in h2),
            h1=(f"https://127.0.0.1:{h1}",),
        )


def _configuration(folder: Path, *, h2: Sequence[int], h1: int, sink: int, fields: Iterable[int]) -> str:
    """Write down nginx's own defaults but for what would end connections while something is measured."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if descriptors == resource.RLIM_INFINITY:
        descriptors = 65_536
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    more = "\n".join(
        f"location /fields/{count}/ {{ alias {folder}/htdocs/; {_fields(count)} }}" for count in set(fields)
    )
    common = f"""
        root {folder}/htdocs;
        location /upload {{ proxy_pass http://127.0.0.1:{sink}; }}
        {more}"""
    return f"""
        daemon off;
        worker_processes 1;
        worker_rlimit_nofile {descriptors};
        pid {folder}/nginx.pid;
        error_log stderr warn;
        {f"user {_nobody()};" if os.geteuid() == 0 else ""}
        events {{ worker_connections {descriptors}; }}
        http {{
        access_log off;
        default_type application/octet-stream;
        client_max_body_size 0;
        client_body_buffer_size 1m;
        large_client_header_buffers 8 64k;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
        client_body_timeout 1h;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        {temporary}
        server {{
            {" ".join(f"listen 127.0.0.1:{port} ssl http2 backlog=4096;" for port in h2)}
            {common}
        }}
        server {{ listen 127.0.0.1:{h1} ssl backlog=4096; {common} }}
        server {{ listen 127.0.0.1:{sink}; location / {{ return 204; }} }}
        }}
        """


def _fields(count: int) -> str:
    return " ".join(f"add_header x-answer-{number} value-of-{number};" for number in range(count))


def _write(path: Path, size: int) -> None:
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                logs = "\n".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
                raise NoServer(f"nginx is not ready:\n{logs}") from None
            time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _stop(process: subprocess.Popen[bytes]) -> None:
    for demand in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(demand)
        try:
            process.wait(timeout=5)
            return
        except subprocess.TimeoutExpired:
            continue


def _die_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _nobody() -> str:
    user = pwd.getpwnam("nobody")
    return f"{user.pw_name} {grp.getgrgid(user.pw_gid).gr_name}"


def _version(program: str) -> str:
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"nginx/\S+", told.stderr + told.stdout)
    return found.group() if found else "nginx"
