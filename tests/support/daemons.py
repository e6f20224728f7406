"""Real servers on loopback: nginx, nghttpd, Apache, tinyproxy, microsocks and Redis, each with a folder of its own.

Where a server is not installed the test that asks for it is skipped with the reason; in CI (the environment
variable) it fails, so that nobody takes a skipped test for a passed one.
"""

import grp
import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import gevent
import pytest

from tests.support.certificates import Certificates
from tests.support.processes import Child

FILES = {"small.txt": b"hello\n", "page.html": b"<p>green</p>\n" * 2000, "empty": b""}
SIZES = (1, 100_000, 600_000, 5_000_000)
"""Beside FILES, every folder holds a file ``<size>.bin`` for each."""

_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_APACHE_MODULES = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
_READY_WITHIN = 30.0


def content(size: int) -> bytes:
    """What the file ``<size>.bin`` holds."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def find(*names: str) -> str:
    """Return the path of the first program found; skip the test if there is none, or fail it in CI."""
    for name in names:
        path = shutil.which(name, path=_SYSTEM_PATH)
        if path is not None:
            return path
    return _absent(f"{names[0]} is not installed")


def _absent(reason: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on; all are held until the last is found."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Daemon:
    """One running server. `h2` and `h1` are its URLs (TLS both; None where it does not speak that)."""

    def __init__(
        self, command: Sequence[str], folder: Path, *, h2: int, h1: int | None, plain: int | None = None
    ) -> None:
        self.folder = folder
        self.log = folder / "output.log"
        self.h2 = f"https://localhost:{h2}"
        self.h1 = None if h1 is None else f"https://localhost:{h1}"
        self.plain = None if plain is None else f"http://localhost:{plain}"
        self._command = [*_die_with_us(), *command]
        self._ports = [port for port in (h2, h1, plain) if port is not None]
        self._start()

    def _start(self) -> None:
        self._process = Child(self._command, self.log)
        self.pid = self._process.pid
        try:
            for port in self._ports:
                self._wait_for(port)
        except BaseException:
            self.stop()
            raise

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self._process.has_ended() or time.monotonic() > deadline:
                    logs = "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))
                    raise RuntimeError(f"{self._process.command} is not ready:\n{logs}") from None
                gevent.sleep(0.01)

    def stop(self) -> None:
        """Stop this server and wait for its end."""
        self._process.stop()

    def restart(self) -> None:
        """Stop this server, and start it again on the same ports."""
        self.stop()
        self._start()


class ProxyDaemon(Daemon):
    """One running proxy; `at("http", "user:password")` is its URL, `text()` what it has logged."""

    def __init__(self, command: Sequence[str], folder: Path, port: int) -> None:
        super().__init__(command, folder, h2=port, h1=None)
        self._port = port

    def at(self, scheme: str, credentials: str = "") -> str:
        return f"{scheme}://{credentials}{'@' if credentials else ''}localhost:{self._port}"

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class RedisDaemon(Daemon):
    """One running Redis; `url` leads to its first database."""

    def __init__(self, command: Sequence[str], folder: Path, port: int) -> None:
        super().__init__(command, folder, h2=port, h1=None)
        self.url = f"redis://127.0.0.1:{port}/0"


AnyDaemon = TypeVar("AnyDaemon", bound=Daemon)


class Daemons:
    """Starts servers; the fixture `daemons` is one, and stops them after the test."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._running: list[Daemon] = []
        self._folders: list[Path] = []

    def nginx(
        self,
        *,
        keepalive_requests: int = 100_000,
        keepalive_timeout: str = "75s",
        http2_max_concurrent_streams: int = 128,
        http2_recv_buffer_size: str = "256k",
        server: str = "",
    ) -> Daemon:
        """Start nginx: TLS with h2 and with HTTP/1.1 alone, and plain HTTP/1.1. `server` is added to each.

        Paths: the files; /gzip/ (the files, compressed); /moved/ (301 to the same below /); /upload (204 once
        the whole body is taken); /nothing (204).
        """
        program = find("nginx")
        folder = self._folder()
        h2, h1, plain, sink = free_ports(4)
        common = f"""
            root {folder}/htdocs;
            location /gzip/ {{ alias {folder}/htdocs/; gzip on; gzip_types *; gzip_min_length 1; }}
            location /moved/ {{ rewrite ^/moved/(.*)$ /$1 permanent; }}
            location /nothing {{ return 204; }}
            location /upload {{ proxy_pass http://127.0.0.1:{sink}; }}
            {server}"""
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "\n".join(f"            {name}_temp_path {folder}/{name};" for name in names)
        (folder / "nginx.conf").write_text(f"""
            daemon off;
            worker_processes 1;
            pid {folder}/nginx.pid;
            error_log stderr warn;
            {f"user {_nobody()[0]} {_nobody()[1]};" if os.geteuid() == 0 else ""}
            events {{ worker_connections 1024; }}
            http {{
            access_log off;
            types {{ text/plain txt; text/html html; }}
            default_type application/octet-stream;
            client_max_body_size 100m;
            keepalive_requests {keepalive_requests};
            keepalive_timeout {keepalive_timeout};
            http2_max_concurrent_streams {http2_max_concurrent_streams};
            http2_recv_buffer_size {http2_recv_buffer_size};
            ssl_certificate {self._certificates.chain_file};
            ssl_certificate_key {self._certificates.key_file};
{places}
            server {{ listen 127.0.0.1:{h2} ssl http2; {common} }}
            server {{ listen 127.0.0.1:{h1} ssl; {common} }}
            server {{ listen 127.0.0.1:{plain}; {common} }}
            server {{ listen 127.0.0.1:{sink}; location / {{ return 204; }} }}
            }}
            """)
        command = [
            program,
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]
        return self._start(Daemon(command, folder, h2=h2, h1=h1, plain=plain))

    def nghttpd(self, *arguments: str) -> Daemon:
        """Start nghttpd, HTTP/2 over TLS alone, with further command line arguments (``"--echo-upload"``)."""
        program = find("nghttpd")
        folder = self._folder()
        (port,) = free_ports(1)
        files = [self._certificates.key_file, self._certificates.chain_file]
        command = [program, "-a", "127.0.0.1", "-d", str(folder / "htdocs"), *arguments, str(port), *files]
        return self._start(Daemon(command, folder, h2=port, h1=None))

    def apache(self, *, server: str = "") -> Daemon:
        """Start Apache: TLS with h2 and with HTTP/1.1 alone, and plain HTTP/1.1. `server` is added to each.

        Paths: the files; /gzip/ (the files, compressed); /moved/ (301 to the same below /).
        """
        program = find("apache2", "httpd")
        modules = next((path for path in _APACHE_MODULES if (path / "mod_http2.so").exists()), None)
        if modules is None:
            _absent("Apache's mod_http2 is not installed")
        folder = self._folder()
        h2, h1, plain = free_ports(3)
        wanted = (
            "mpm_event",
            "authz_core",
            "unixd",
            "ssl",
            "http2",
            "alias",
            "deflate",
            "filter",
            "headers",
            "reqtimeout",
        )
        loads = "\n".join(
            f"LoadModule {name}_module {modules}/mod_{name}.so"
            for name in wanted
            if (Path(str(modules)) / f"mod_{name}.so").exists()
        )
        user, group = _nobody()
        secured = f"""
            SSLEngine on
            SSLCertificateFile {self._certificates.chain_file}
            SSLCertificateKeyFile {self._certificates.key_file}"""
        (folder / "apache.conf").write_text(f"""
            ServerRoot {folder}
            ServerName localhost
            PidFile {folder}/apache.pid
            DefaultRuntimeDir {folder}
            ErrorLog {folder}/error.log
            LogLevel warn
            {loads}
            {f"User {user}" if os.geteuid() == 0 else ""}
            {f"Group {group}" if os.geteuid() == 0 else ""}
            StartServers 1
            ServerLimit 2
            ThreadsPerChild 64
            MaxRequestWorkers 128
            MinSpareThreads 1
            MaxSpareThreads 128
            Listen 127.0.0.1:{h2}
            Listen 127.0.0.1:{h1}
            Listen 127.0.0.1:{plain}
            MaxKeepAliveRequests 0
            SSLSessionCache none
            DocumentRoot {folder}/htdocs
            <Directory {folder}/htdocs>
            Require all granted
            </Directory>
            Alias /gzip/ {folder}/htdocs/
            <Location /gzip/>
            SetOutputFilter DEFLATE
            </Location>
            RedirectMatch 301 ^/moved/(.*)$ /$1
            {server}
            <VirtualHost *:{h2}>
            Protocols h2 http/1.1
            {secured}
            </VirtualHost>
            <VirtualHost *:{h1}>
            Protocols http/1.1
            {secured}
            </VirtualHost>
            """)
        command = [program, "-d", str(folder), "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
        return self._start(Daemon(command, folder, h2=h2, h1=h1, plain=plain))

    def tinyproxy(self, credentials: tuple[str, str] | None = None) -> ProxyDaemon:
        """Start tinyproxy, an http proxy that logs every request it takes."""
        program = find("tinyproxy")
        folder = self._folder()
        (port,) = free_ports(1)
        user, group = _nobody()
        (folder / "tinyproxy.conf").write_text(f"""
{f"User {user}" if os.geteuid() == 0 else ""}
{f"Group {group}" if os.geteuid() == 0 else ""}
Listen 127.0.0.1
Port {port}
Timeout 600
MaxClients 100
LogLevel Connect
{"BasicAuth " + " ".join(credentials) if credentials else ""}
""")
        command = [program, "-d", "-c", str(folder / "tinyproxy.conf")]
        return self._start(ProxyDaemon(command, folder, port))

    def microsocks(self, credentials: tuple[str, str] | None = None) -> ProxyDaemon:
        """Start microsocks, a SOCKS5 proxy that logs every connection it makes."""
        program = find("microsocks")
        folder = self._folder()
        (port,) = free_ports(1)
        wanted = ["-u", credentials[0], "-P", credentials[1]] if credentials else []
        return self._start(ProxyDaemon([program, "-i", "127.0.0.1", "-p", str(port), *wanted], folder, port))

    def apache_proxy(self) -> ProxyDaemon:
        """Start Apache as an https proxy: TLS to the proxy itself."""
        program = find("apache2", "httpd")
        modules = next((path for path in _APACHE_MODULES if (path / "mod_proxy_connect.so").exists()), None)
        if modules is None:
            _absent("Apache's mod_proxy_connect is not installed")
        folder = self._folder()
        (port,) = free_ports(1)
        user, group = _nobody()
        wanted = ("mpm_event", "authz_core", "unixd", "ssl", "proxy", "proxy_http", "proxy_connect")
        there = [name for name in wanted if (Path(str(modules)) / f"mod_{name}.so").exists()]
        (folder / "apache.conf").write_text(f"""
            ServerRoot {folder}
            ServerName localhost
            PidFile {folder}/apache.pid
            DefaultRuntimeDir {folder}
            ErrorLog {folder}/error.log
            LogLevel warn
            {os.linesep.join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in there)}
            {f"User {user}" if os.geteuid() == 0 else ""}
            {f"Group {group}" if os.geteuid() == 0 else ""}
            StartServers 1
            Listen 127.0.0.1:{port}
            SSLSessionCache none
            SSLEngine on
            SSLCertificateFile {self._certificates.chain_file}
            SSLCertificateKeyFile {self._certificates.key_file}
            ProxyRequests On
            AllowCONNECT 1-65535
            """)
        command = [program, "-d", str(folder), "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
        return self._start(ProxyDaemon(command, folder, port))

    def redis(self) -> RedisDaemon:
        """Start Redis, which keeps nothing on disk."""
        program = find("redis-server")
        folder = self._folder()
        (port,) = free_ports(1)
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        return self._start(RedisDaemon(command, folder, port))

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop()
        while self._folders:
            shutil.rmtree(self._folders.pop(), ignore_errors=True)

    def _start(self, daemon: AnyDaemon) -> AnyDaemon:
        self._running.append(daemon)
        return daemon

    def _folder(self) -> Path:
        """A folder that a server's unprivileged workers can read, as pytest's own ones cannot be."""
        folder = Path(tempfile.mkdtemp(prefix="greenh2-"))
        self._folders.append(folder)
        folder.chmod(0o755)
        htdocs = folder / "htdocs"
        htdocs.mkdir()
        for name, data in FILES.items():
            (htdocs / name).write_bytes(data)
        for size in SIZES:
            (htdocs / f"{size}.bin").write_bytes(content(size))
        return folder


def _nobody() -> tuple[str, str]:
    """Name an unprivileged user and its group."""
    user = pwd.getpwnam("nobody")
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


def _die_with_us() -> list[str]:
    """Have the kernel stop the server should this process be killed before it can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
