"""DigestAuth proves a password without sending it (RFC 7616, and RFC 2069 where a server is that old)."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from os import urandom
from typing import Final

from greenh2._errors import LocalProtocolError, RemoteProtocolError
from greenh2._middleware.auth import Auth, AuthFlow
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.route import Route

# The best first, as hashlib calls them.  SHA-512 and SHA are in no standard, and in some servers.
_ALGORITHMS: Final = {
    "SHA-512-256": "sha512_256",
    "SHA-512": "sha512",
    "SHA-256": "sha256",
    "SHA": "sha1",
    "MD5": "md5",
}
# What no challenge may lack (RFC 7616 section 3.3).
_REQUIRED: Final = {"realm", "nonce"}
# A parameter, or the name of a scheme in front of one (RFC 9110 section 11.6.1).  What parts them is one class: two
# runs of white space beside each other would be tried in every way, which a server could make to last for minutes.
_TOKEN: Final = re.compile(
    r'[\s,]*(?:([^\s,="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([^\s,="]+)(?=\s|,|$))'
)
_ESCAPED: Final = re.compile(r"\\(.)")
_TO_ESCAPE: Final = re.compile(r'(["\\])')


class Challenge:
    """What a server asked for, and how often it was answered."""

    def __init__(
        self,
        *,
        realm: str,
        nonce: str,
        algorithm: str | None,
        opaque: str | None,
        qop: tuple[str, ...],
        stale: bool,
        userhash: bool,
    ) -> None:
        self.realm = realm
        self.nonce = nonce
        self.algorithm = algorithm
        self.opaque = opaque
        self.qop = qop
        self.stale = stale
        self.userhash = userhash
        self.cnonce = urandom(8).hex()
        # What nobody else can be given, whatever greenlet or thread asks: a count by += could be read too late.
        self._numbers = count(1)

    def next_number(self) -> int:
        """Count one more answer: no two are given the same number (RFC 7616 section 3.4)."""
        return next(self._numbers)

    @property
    def base_algorithm(self) -> str:
        return (self.algorithm or "MD5").upper().removesuffix("-SESS")


class DigestAuth(Auth):
    """Answer a server's challenge with a hash of user name, password and request (RFC 7616).

    MD5, SHA-256 and SHA-512-256, and SHA and SHA-512 as well, each with -sess; quality of protection "auth", or
    none as in RFC 2069.
    The first request to an origin goes out without an answer; the challenge is kept, one for each origin, so
    that later requests need no second round.  A request whose body can be read only once cannot be sent twice.

    Raises LocalProtocolError when a server insists on "auth-int", which is not done; RemoteProtocolError when its
    challenge lacks the realm or the nonce, so that nobody could answer it.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._username = _text(username, "username")
        self._password = _text(password, "password")
        self._challenges: dict[str, Challenge] = {}

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield the request, and answer a 401; twice when the answer came too late for its nonce."""
        origin = Route.of(request.url).origin
        if (known := self._challenges.get(origin)) is not None:
            request.headers["Authorization"] = self._answer(request, known)
        response = yield request
        for _ in range(2):
            challenge = challenge_of(response) if response.status_code == 401 else None
            if challenge is None:
                _refuse_malformed(request, response)
                return
            if challenge.qop and "auth" not in challenge.qop:
                raise LocalProtocolError(
                    f"{origin} asks for digest authentication with qop={','.join(challenge.qop)}: "
                    "only 'auth' is supported.",
                    request=request,
                )
            self._challenges[origin] = challenge
            request.headers["Authorization"] = self._answer(request, challenge)
            response = yield request
            again = challenge_of(response) if response.status_code == 401 else None
            if again is None or not again.stale:
                return

    def _answer(self, request: Request, challenge: Challenge) -> str:
        hashed = _hash_of(challenge.base_algorithm)
        target = request.extensions.get("target", request.url.raw_path)
        uri = target if isinstance(target, str) else target.decode("ascii")
        secret = hashed(f"{self._username}:{challenge.realm}:{self._password}")
        if (challenge.algorithm or "").upper().endswith("-SESS"):
            secret = hashed(f"{secret}:{challenge.nonce}:{challenge.cnonce}")
        what = hashed(f"{request.method}:{uri}")
        number = f"{challenge.next_number():08x}"
        middle = f"{challenge.nonce}:{number}:{challenge.cnonce}:auth" if challenge.qop else challenge.nonce
        name = hashed(f"{self._username}:{challenge.realm}") if challenge.userhash else self._username
        fields = {
            "username": _quoted(name),
            "realm": _quoted(challenge.realm),
            "nonce": _quoted(challenge.nonce),
            "uri": _quoted(uri),
            "response": _quoted(hashed(f"{secret}:{middle}:{what}")),
        }
        if challenge.algorithm is not None:
            fields["algorithm"] = challenge.algorithm
        if challenge.opaque is not None:
            fields["opaque"] = _quoted(challenge.opaque)
        if challenge.qop:
            fields.update(qop="auth", nc=number)
        if challenge.qop or (challenge.algorithm or "").upper().endswith("-SESS"):
            fields["cnonce"] = _quoted(challenge.cnonce)
        if challenge.userhash:
            fields["userhash"] = "true"
        return "Digest " + ", ".join([f"{name}={value}" for name, value in fields.items()])

    def __getstate__(self) -> dict[str, object]:
        # A copy that went on counting from here would give the numbers that this one gives.
        return {**self.__dict__, "_challenges": {}}

    def __repr__(self) -> str:
        return f"DigestAuth({self._username!r}, '[secure]')"


def challenge_of(response: Response) -> Challenge | None:
    """Return the best of the Digest challenges of a response; None when there is none that can be met."""
    found: list[Challenge] = []
    for value in response.headers.get_list("www-authenticate"):
        for scheme, parameters in _schemes(value):
            if scheme == "digest" and parameters.keys() >= _REQUIRED:
                found.append(_challenge(parameters))
    known = [challenge for challenge in found if challenge.base_algorithm in _ALGORITHMS]
    return min(known, key=lambda one: list(_ALGORITHMS).index(one.base_algorithm), default=None)


def _refuse_malformed(request: Request, response: Response) -> None:
    if response.status_code != 401:
        return
    for value in response.headers.get_list("www-authenticate"):
        for scheme, parameters in _schemes(value):
            if scheme == "digest" and not parameters.keys() >= _REQUIRED:
                raise RemoteProtocolError(
                    f"{Route.of(request.url).origin} asks for digest authentication without saying its "
                    f"{' and '.join(sorted(_REQUIRED - parameters.keys()))}, so that it cannot be answered",
                    request=request,
                )


def _challenge(parameters: dict[str, str]) -> Challenge:
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=parameters.get("algorithm"),
        opaque=parameters.get("opaque"),
        qop=tuple([name for name in re.split(r"[\s,]+", parameters.get("qop", "").lower()) if name]),
        stale=parameters.get("stale", "").lower() == "true",
        userhash=parameters.get("userhash", "").lower() == "true",
    )


def _schemes(header: str) -> list[tuple[str, dict[str, str]]]:
    schemes: list[tuple[str, dict[str, str]]] = []
    position = 0
    while match := _TOKEN.match(header, position):
        name, quoted, token, scheme = match.groups()
        if scheme is not None:
            schemes.append((scheme.lower(), {}))
        elif schemes:
            value = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
            schemes[-1][1].setdefault(name.lower(), value)
        position = match.end()
    return schemes


def _hash_of(algorithm: str) -> Callable[[str], str]:
    import hashlib

    name = _ALGORITHMS[algorithm]
    return lambda text: hashlib.new(name, text.encode("utf-8"), usedforsecurity=False).hexdigest()


def _quoted(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(r"\\\1", text) + '"'


def _text(text: str | bytes, what: str) -> str:
    match text:
        case str():
            return text
        case bytes():
            try:
                return text.decode("utf-8")
            except UnicodeDecodeError:  # without the bytes, which may be the password
                raise ValueError(
                    f"The {what} of DigestAuth is UTF-8 where it is bytes (RFC 7616 section 4)"
                ) from None
        case _:
            raise TypeError(f"The {what} of DigestAuth is str or bytes, not {type(text).__name__}")
