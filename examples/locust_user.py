"""A user for Locust whose requests are greenh2's, beside Locust's own FastHttpUser; and two tasks to see it work.

    python -m pip install '.[hosts]'
    locust -f examples/locust_user.py --headless -u 20 -r 20 -t 5s --host https://www.example.org

In a locustfile of your own: `from locust_user import GreenH2User`.  For a certificate of a private authority set
SSL_CERT_FILE=ca.pem, or the attribute `verify`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from copy import copy
from random import randrange
from types import TracebackType
from typing import Any, ClassVar

import gevent
from gevent.pool import Group
from locust import User, between, task
from locust.env import Environment
from locust.exception import CatchResponseError, LocustError, ResponseError, StopTest

import greenh2

#: What differs from one failure to the next in the message of an error that is the same one: seconds, streams.
FIGURES = re.compile(r"[0-9][0-9.e+-]*(?= s\b)|(?<=stream )[0-9]+")


class Answer:
    """What came of one request: a response, or the error that came in its place.

    With `catch_response=True` it is used in a with block, which reports the request when it ends: as the status
    says, or as `success()` or `failure()` have said.
    """

    def __init__(self, report: Callable[..., object], facts: dict[str, Any], *, caught: bool) -> None:
        #: The response as greenh2 has it, read to its end; None when there is none.
        self.response: greenh2.Response | None = facts["response"]
        #: Why the request counts as a failure: an error of greenh2, or a status other than 2xx and 3xx.
        self.error: Exception | None = facts["exception"]
        self._report = report
        self._facts = facts
        self._caught = caught
        self._entered = False
        self._decided = False

    @property
    def ok(self) -> bool:
        """Whether the request counts as a success, unless something else is said."""
        return self.error is None

    @property
    def status_code(self) -> int:
        """The status; 0 when no response came."""
        return 0 if self.response is None else self.response.status_code

    @property
    def headers(self) -> greenh2.Headers:
        return greenh2.Headers() if self.response is None else self.response.headers

    @property
    def content(self) -> bytes:
        """The decoded body; empty when no response came."""
        return b"" if self.response is None else self.response.content

    @property
    def text(self) -> str:
        return "" if self.response is None else self.response.text

    def json(self) -> Any:  # whatever the body holds
        """Parse the body.  Raises ValueError for what is no JSON, and when no response came."""
        if self.response is None:
            raise ValueError(f"there is no response: {self.error!r}")
        return self.response.json()

    def success(self) -> None:
        """Count the request as a success, whatever its status."""
        self._decide(None)

    def failure(self, why: str | Exception) -> None:
        """Count the request as a failure, which the statistics list under these words."""
        self._decide(why if isinstance(why, Exception) else CatchResponseError(why))

    def _decide(self, verdict: Exception | None) -> None:
        if not self._entered:
            raise LocustError("success() and failure() are for a with block: get(..., catch_response=True)")
        self._facts["exception"] = verdict
        self._decided = True

    def __enter__(self) -> Answer:
        if not self._caught:
            raise LocustError("A with block is for requests that were made with catch_response=True")
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # As in Locust's own users: what was said holds, an error that was raised goes on and leaves the request
        # uncounted, and only a ResponseError is a verdict itself.
        swallow = error is None
        if not self._decided and isinstance(error, ResponseError):
            self._facts["exception"] = error
            swallow = True
        if self._decided or swallow:
            self._report(**self._facts)
        return swallow


class Session:
    """A greenh2.Client whose requests are reported to Locust: the `client` of a user.

    `name` is what the statistics call the request, the URL as it was given otherwise.  `context` is passed to
    listeners.  All other arguments are those of `greenh2.Client.request()`.  Bodies are read to their end, and the
    time until then is what counts.  Errors of greenh2 are counted, not raised; a kill or a gevent.Timeout passes.
    """

    def __init__(
        self, client: greenh2.Client, report: Callable[..., object], context: Callable[[], dict[str, Any]]
    ) -> None:
        #: The client itself: its cookies, its headers.
        self.greenh2 = client
        self._report = report
        self._context = context

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str | None = None,
        catch_response: bool = False,
        context: Mapping[str, object] | None = None,
        **arguments: Any,  # those of greenh2.Client.request()
    ) -> Answer:
        """Send one request and report it.  Raises what `build_request()` raises for what can never be sent."""
        wishes = {key: arguments.pop(key) for key in ("auth", "follow_redirects") if key in arguments}
        request = self.greenh2.build_request(method, url, **arguments)
        response: greenh2.Response | None = None
        error: greenh2.HTTPError | None = None
        start_time, began = time.time(), time.perf_counter()
        try:
            response = self.greenh2.send(request, **wishes)
        except greenh2.HTTPError as failure:
            error = reported(failure, name or url)
        took = time.perf_counter() - began
        if response is not None and not (response.is_success or response.is_redirect):
            status = f"{response.status_code} {response.reason_phrase}"
            error = greenh2.HTTPStatusError(status, request=response.request, response=response)
        facts: dict[str, Any] = {
            "request_type": method,
            "name": name or url,
            "response_time": took * 1000,
            "response_length": 0 if response is None else len(response.content),
            "response": response,
            "context": {**self._context(), **(context or {})},
            "exception": error,
            "start_time": start_time,
            "url": request.url.redacted,
        }
        if not catch_response:
            self._report(**facts)
        return Answer(self._report, facts, caught=catch_response)

    def get(self, url: str, **arguments: Any) -> Answer:
        return self.request("GET", url, **arguments)

    def head(self, url: str, **arguments: Any) -> Answer:
        return self.request("HEAD", url, **arguments)

    def options(self, url: str, **arguments: Any) -> Answer:
        return self.request("OPTIONS", url, **arguments)

    def post(self, url: str, **arguments: Any) -> Answer:
        return self.request("POST", url, **arguments)

    def put(self, url: str, **arguments: Any) -> Answer:
        return self.request("PUT", url, **arguments)

    def patch(self, url: str, **arguments: Any) -> Answer:
        return self.request("PATCH", url, **arguments)

    def delete(self, url: str, **arguments: Any) -> Answer:
        return self.request("DELETE", url, **arguments)


def reported(failure: greenh2.HTTPError, name: str) -> greenh2.HTTPError:
    """Return an error of the same class for the statistics, which count together what has the same message."""
    first, *_ = str(failure).splitlines() or [""]
    shown = copy(failure)
    shown.args = (FIGURES.sub("...", first.replace(failure.request.url.redacted, name)),)
    shown.__cause__ = failure
    return shown


class GreenH2User(User):
    """A user with a `client` that speaks HTTP/2 and HTTP/1.1.  Set the attributes in a subclass.

    Each user has cookies of its own, as each visitor of a site has.  Whether it has connections of its own is
    `share_connections`:

    False, like browsers: each user makes its own, and a thousand users are a thousand handshakes and a thousand
    connections for the server to hold.
    True, like a gateway or a service: the users of a class share one pool in each process, and over HTTP/2 a few
    connections, as many requests at once on each as the server allows.
    """

    abstract = True

    share_connections: bool = False
    verify: bool | str = True
    http2: bool = True
    timeout: float | greenh2.Timeout = 60.0
    proxy: str | None = None
    default_headers: Mapping[str, str] | None = None
    #: The load generator is not to be what is slow: nobody waits for a place.  Users pause for longer than the 5 s
    #: that a client usually keeps an idle connection for.
    limits = greenh2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=300.0)

    _shared: ClassVar[dict[type[GreenH2User], greenh2.HTTPTransport]] = {}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("There is no host: give --host, or set the attribute host of the user class.")
        transport: greenh2.BaseTransport | Callable[[greenh2.Request], greenh2.Response]
        if self.share_connections:
            # A function in place of a transport: a client that is closed would close the transport as well.
            transport = self._shared_transport(environment).handle_request
        else:
            transport = self._new_transport()
        client = greenh2.Client(
            base_url=self.host,
            headers=self.default_headers,
            timeout=self.timeout,
            follow_redirects=True,
            transport=transport,
        )
        self.client = Session(client, environment.events.request.fire, self.context)

    def start(self, group: Group) -> gevent.Greenlet[..., None]:
        """Start the user; its connections are closed when its greenlet has ended, however that ends."""
        greenlet: gevent.Greenlet[..., None] = super().start(group)
        greenlet.link(lambda _ended: self.client.greenh2.close())
        return greenlet

    def _new_transport(self) -> greenh2.HTTPTransport:
        return greenh2.HTTPTransport(
            verify=self.verify, http2=self.http2, limits=self.limits, proxy=self.proxy
        )

    def _shared_transport(self, environment: Environment) -> greenh2.HTTPTransport:
        transport = self._shared.get(type(self))
        if transport is None:
            transport = self._shared[type(self)] = self._new_transport()
            closing = transport
            environment.events.quit.add_listener(lambda **_: closing.close())  # type: ignore[no-untyped-call]
        return transport


class WebUser(GreenH2User):
    """Somebody who looks at the front page, and sometimes leafs through it."""

    wait_time = between(0.1, 0.5)

    @task(3)
    def front_page(self) -> None:
        self.client.get("/")

    @task
    def leaf_through(self) -> None:
        page = randrange(100)  # noqa: S311 - nothing depends on it
        with self.client.get(
            "/", params={"page": page}, name="/?page=[number]", catch_response=True
        ) as answer:
            if answer.ok and not answer.content:
                answer.failure("the page is empty")
