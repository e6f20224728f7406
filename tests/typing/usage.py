"""The API as a caller's code uses it, for mypy and pyright in their strict modes; it is never run."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

import greenh2

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


class TokenAuth(greenh2.Auth):
    requires_response_body = True

    def auth_flow(self, request: greenh2.Request) -> Generator[greenh2.Request, greenh2.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {response.text}"
            yield request


class Slow(greenh2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"x"


class Canned(greenh2.BaseTransport):
    def handle_request(self, request: greenh2.Request) -> greenh2.Response:
        if request.method == "PUT":
            return greenh2.Response(200, stream=Slow())
        return greenh2.Response(200, json={"path": request.url.path})


def answer(request: greenh2.Request) -> greenh2.Response:
    return greenh2.Response(200, text=request.method, headers={"X-A": "1"}, request=request)


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("X-A", "1")])
    return [b"body"]


def sign(request: greenh2.Request) -> greenh2.Request:
    request.headers["X-Signature"] = "s"
    return request


def log_request(request: greenh2.Request) -> None:
    print(request.method, request.url)


def log_response(response: greenh2.Response) -> None:
    print(response.status_code, response.request.url)


def pieces() -> Iterator[bytes]:
    yield b"piece"


def settings() -> None:
    greenh2.Client()
    greenh2.Client(transport=answer)
    greenh2.Client(transport=Canned())
    greenh2.Client(transport=greenh2.MockTransport(answer))
    greenh2.Client(transport=greenh2.WSGITransport(app=application, raise_app_exceptions=False))
    greenh2.Client(transport=greenh2.WSGITransport(application, script_name="/a", remote_addr="192.0.2.1"))
    greenh2.Client(transport=greenh2.HTTPTransport(limits=greenh2.Limits(max_connections=10)))
    greenh2.Client(
        auth=("user", "password"),
        params={"a": [1, 2], "b": None},
        headers=[("X-A", "1"), ("X-A", "2")],
        cookies={"a": "1"},
        verify=ssl.create_default_context(),
        cert=("client.pem", "client.key"),
        trust_env=False,
        http1=True,
        http2="prior-knowledge",
        timeout=greenh2.Timeout(5.0, connect=1.0, total=30.0),
        follow_redirects=True,
        limits=greenh2.Limits(max_connections=None, keepalive_expiry=30.0),
        max_redirects=5,
        event_hooks={"request": [log_request], "response": [log_response]},
        base_url="https://api.example.org/",
        default_encoding=lambda content: "utf-8",
    )
    greenh2.Client(proxy="http://user:password@proxy.example.org:3128")
    greenh2.Client(proxy=greenh2.URL("socks5h://localhost"), mounts={"https://": None})
    greenh2.Client(
        proxy=greenh2.Proxy(
            "https://proxy.example.org",
            auth=("user", "password"),
            headers={"X-A": "1"},
            ssl_context=ssl.create_default_context(),
        ),
        mounts={"all://": greenh2.HTTPTransport(proxy="http://localhost:3128"), "all://a.example": answer},
    )
    greenh2.HTTPTransport(proxy=lambda url: greenh2.Proxy("http://localhost") if url.host else None)
    greenh2.Client(auth=TokenAuth(), verify=False, cert="client.pem", timeout=None, http2=False)
    greenh2.Client(verify="system", timeout=greenh2.Timeout(timeout=5.0))
    greenh2.Client(
        verify=greenh2.create_ssl_context(Path("ca.pem"), cert=("a.pem", "a.key"), trust_env=False)
    )
    greenh2.Client(uds="/run/socket", socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
    greenh2.Client(uds=Path("/run/socket"), socket_options=((1, 2, b"3"), (1, 2, None, 4)))
    greenh2.Client(transport=greenh2.HTTPTransport(local_address="127.0.0.2", uds=None, retries=2))
    greenh2.Client(auth=greenh2.NetRCAuth(Path("netrc")))
    greenh2.Client(auth=greenh2.DigestAuth("user", b"password"))
    greenh2.Client(auth=sign, verify=Path("authorities.pem"), timeout=(1.0, 2.0, None, 4.0))
    greenh2.Client(auth=greenh2.BasicAuth(b"user", b"password"), base_url=greenh2.URL("https://a.example/"))


def anew(client: greenh2.Client) -> None:
    client.auth = ("user", "password")
    client.auth = None
    client.base_url = "https://api.example.org/"
    client.cookies = {"a": "1"}
    client.event_hooks = {"request": [log_request]}
    client.follow_redirects = True
    client.headers = {"X-A": "1"}
    client.params = {"q": "1"}
    client.timeout = 10
    client.timeout = None
    assert_type(client.headers, greenh2.Headers)
    assert_type(client.params, greenh2.QueryParams)
    assert_type(client.cookies, greenh2.Cookies)
    assert_type(client.timeout, greenh2.Timeout)
    assert_type(client.base_url, greenh2.URL)
    assert_type(client.is_closed, bool)
    assert_type(client.trust_env, bool)
    assert_type(client.dump(), str)
    client.headers["X-B"] = "2"
    client.event_hooks["response"].append(log_response)


def calls() -> None:
    with greenh2.Client() as client:
        response = client.get("https://a.example/", params={"q": 1}, headers={"X-A": "1"}, cookies={"a": "1"})
        assert_type(response, greenh2.Response)
        client.get("/", auth=("u", "p"), follow_redirects=True, timeout=3, extensions={"trace": print})
        client.get("/", auth=None, timeout=None)
        client.get("/", auth=greenh2.USE_CLIENT_DEFAULT, timeout=greenh2.USE_CLIENT_DEFAULT)
        client.options("/")
        client.head("/")
        client.delete("/")
        client.post("/", content=b"bytes")
        client.post("/", content="text")
        client.post("/", content=pieces())
        client.post("/", content=[b"a", b"b"])
        client.put("/", data={"a": "1", "b": ["2", "3"]})
        client.patch("/", json={"a": [1, None, True]})
        with Path("file").open("rb") as file:
            client.put("/", content=file)
            client.post("/", files={"f": file})
            client.post("/", data={"a": b"1"}, files=[("f", ("name.txt", file)), ("g", (None, "text"))])
            client.post("/", files={"f": ("name.txt", b"x", "text/plain"), "g": b"x"})
            client.post("/", files={"f": ("name.txt", "x", None, {"X-A": "1"})})
            client.post("/", files={"f": ("name", pieces())})
            greenh2.Request("POST", "https://a.example/", files={"f": file})
            greenh2.Request("POST", "https://a.example/", stream=greenh2.ByteStream(b"x"))
        request = client.build_request("PROPFIND", "/", headers={"Depth": "0"})
        assert_type(request, greenh2.Request)
        assert_type(client.send(request, stream=True, auth=None, follow_redirects=True), greenh2.Response)
        with client.stream("GET", "/") as streamed:
            assert_type(streamed, greenh2.Response)
            for piece in streamed.iter_bytes():
                assert_type(piece, bytes)


def functions() -> None:
    assert_type(greenh2.get("https://a.example/", timeout=3, verify=False), greenh2.Response)
    greenh2.options("https://a.example/")
    greenh2.head("https://a.example/", follow_redirects=True)
    greenh2.delete("https://a.example/", auth=("u", "p"))
    greenh2.post("https://a.example/", json={"a": 1})
    greenh2.put("https://a.example/", data={"a": 1}, trust_env=False, proxy="http://localhost")
    greenh2.patch("https://a.example/", content=b"x")
    greenh2.request("GET", "https://a.example/", params="q=1")
    with greenh2.stream("GET", "https://a.example/") as response:
        assert_type(response, greenh2.Response)


def responses(response: greenh2.Response) -> None:
    assert_type(response.status_code, int)
    assert_type(response.content, bytes)
    assert_type(response.text, str)
    assert_type(response.headers["content-type"], str)
    assert_type(response.headers.get("x-a"), "str | None")
    assert_type(response.trailers, greenh2.Headers)
    assert_type(response.raise_for_status(), greenh2.Response)
    assert_type(response.elapsed, timedelta)
    assert_type(response.history, "list[greenh2.Response]")
    assert_type(response.next_request, "greenh2.Request | None")
    assert_type(response.url, greenh2.URL)
    assert_type(response.is_success, bool)
    if greenh2.codes.is_server_error(response.status_code):
        print(response.reason_phrase, greenh2.codes.BAD_GATEWAY.phrase)


def errors(client: greenh2.Client) -> None:
    try:
        client.get("https://a.example/").raise_for_status()
    except greenh2.HTTPStatusError as error:
        assert_type(error.response, greenh2.Response)
    except greenh2.TotalTimeout as error:
        assert_type(error.request, greenh2.Request)
    except greenh2.TransportError as error:
        assert_type(error.unprocessed, bool)
    except greenh2.HTTPError as error:
        print(error)
