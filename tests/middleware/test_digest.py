"""DigestAuth answers challenges, by the examples of the standards and by a server that checks the hashes."""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from time import process_time
from types import FrameType
from typing import Any

import pytest

from greenh2 import Client, DigestAuth, LocalProtocolError, RemoteProtocolError, Request, Response
from greenh2._middleware.digest import challenge_of
from tests.client.answers import Answers

URL = "http://www.example.org/dir/index.html"
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def unauthorized(*challenges: str) -> Response:
    return Response(401, headers=[("WWW-Authenticate", challenge) for challenge in challenges])


def fields_of(request: Request) -> dict[str, str]:
    kind, _, rest = request.headers["authorization"].partition(" ")
    assert kind == "Digest"
    return {
        name: quoted or token for name, quoted, token in re.findall(r'(\w+)=(?:"([^"]*)"|([^, ]+))', rest)
    }


def expected(fields: dict[str, str], secret: str, hashed: str, method: str = "GET") -> str:
    def h(text: str) -> str:
        return hashlib.new(hashed, text.encode()).hexdigest()

    first = h(secret)
    if fields.get("algorithm", "").endswith("-sess"):
        first = h(f"{first}:{fields['nonce']}:{fields['cnonce']}")
    middle = fields["nonce"]
    if "qop" in fields:
        middle += f":{fields['nc']}:{fields['cnonce']}:{fields['qop']}"
    return h(f"{first}:{middle}:{h(method + ':' + fields['uri'])}")


@pytest.mark.parametrize(
    ("algorithm", "hashed", "answer"),
    [
        ("MD5", "md5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "sha256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(
    monkeypatch: pytest.MonkeyPatch, algorithm: str, hashed: str, answer: str
) -> None:
    answers = Answers(unauthorized(RFC_7616.format(algorithm)), Response(200))
    auth = DigestAuth("Mufasa", "Circle of Life")
    flow = auth.auth_flow(Request("GET", URL))
    next(flow)
    challenge = challenge_of(answers(Request("GET", URL)))
    assert challenge is not None
    challenge.cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    fields = fields_of(
        Request("GET", URL, headers={"Authorization": auth._answer(Request("GET", URL), challenge)})
    )
    assert (fields["response"], fields["nc"], fields["qop"]) == (answer, "00000001", "auth")
    assert fields["response"] == expected(fields, "Mufasa:http-auth@example.org:Circle of Life", hashed)


@pytest.mark.parametrize("suffix", ["", "-sess"])
@pytest.mark.parametrize(
    ("algorithm", "hashed"),
    [
        ("MD5", "md5"),
        ("SHA", "sha1"),
        ("SHA-256", "sha256"),
        ("SHA-512", "sha512"),
        ("SHA-512-256", "sha512_256"),
    ],
)
def test_every_algorithm_is_answered(algorithm: str, hashed: str, suffix: str) -> None:
    answers = Answers(unauthorized(RFC_7616.format(algorithm + suffix)), Response(200))
    assert Client(transport=answers, auth=DigestAuth("u", "p")).get(URL + "?q=1").status_code == 200
    fields = fields_of(answers.last)
    assert fields["response"] == expected(fields, "u:http-auth@example.org:p", hashed)
    assert fields["uri"] == "/dir/index.html?q=1"
    assert fields["opaque"] == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def test_a_challenge_without_qop_is_answered_as_in_rfc_2069() -> None:
    answers = Answers(unauthorized('Digest realm="r", nonce="n"'), Response(200))
    Client(transport=answers, auth=DigestAuth("u", "p")).get(URL)
    fields = fields_of(answers.last)
    assert not {"qop", "nc", "cnonce", "algorithm"} & set(fields)
    assert fields["response"] == expected(fields, "u:r:p", "md5")


def test_a_challenge_is_used_again_and_counted() -> None:
    answers = Answers(unauthorized(RFC_7616.format("MD5")), Response(200), Response(200))
    client = Client(transport=answers, auth=DigestAuth("u", "p"))
    client.get(URL)
    client.get(URL)
    assert [fields_of(request)["nc"] for request in answers.requests[1:]] == ["00000001", "00000002"]


def test_no_number_is_given_twice_wherever_one_thread_or_greenlet_breaks_in_on_another() -> None:
    numbers: list[str] = []
    auth = DigestAuth("u", "p")
    answers = Answers(unauthorized(RFC_7616.format("MD5")))

    def ask() -> None:
        flow = auth.auth_flow(Request("GET", URL))
        request = next(flow)
        if "authorization" not in request.headers:
            request = flow.send(answers(request))
        numbers.append(fields_of(request)["nc"])

    def break_in(frame: FrameType, event: str, argument: object) -> Any:
        # Called before each line of the code that answers, as another thread might be; what it calls is not traced.
        if frame.f_code.co_name not in ("_answer", "next_number"):
            return None
        if event == "line":
            ask()
        return break_in

    ask()
    before = sys.gettrace()
    sys.settrace(break_in)
    try:
        ask()
    finally:
        sys.settrace(before)
    assert len(numbers) > 10
    assert len(set(numbers)) == len(numbers)


def test_a_copy_counts_for_challenges_of_its_own() -> None:
    auth = DigestAuth("u", "p")
    answers = Answers(unauthorized(RFC_7616.format("MD5")), Response(200), Response(200))
    Client(transport=answers, auth=auth).get(URL)
    Client(transport=answers, auth=pickle.loads(pickle.dumps(auth))).get(URL)
    assert "authorization" not in answers.last.headers


def test_a_challenge_is_never_answered_at_another_origin() -> None:
    answers = Answers(unauthorized(RFC_7616.format("MD5")), Response(200), Response(200))
    client = Client(transport=answers, auth=DigestAuth("u", "p"))
    client.get(URL)
    client.get("http://other.example/")
    assert "authorization" not in answers.last.headers


def test_a_stale_nonce_is_answered_once_more() -> None:
    stale = 'Digest realm="r", nonce="{}", qop="auth", stale=true'
    sent: list[str] = []

    def serve(request: Request) -> Response:
        if "authorization" in request.headers:
            sent.append(fields_of(request)["nonce"])
        return unauthorized(stale.format(len(sent)))

    assert Client(transport=serve, auth=DigestAuth("u", "p")).get(URL).status_code == 401
    assert sent == ["0", "1"]


def test_a_wrong_password_is_sent_once() -> None:
    answers = Answers(*[unauthorized('Digest realm="r", nonce="n"') for _ in "12"])
    assert Client(transport=answers, auth=DigestAuth("u", "p")).get(URL).status_code == 401
    assert len(answers.requests) == 2


def test_auth_int_is_refused_by_name() -> None:
    answers = Answers(unauthorized('Digest realm="r", nonce="n", qop="auth-int"'))
    with pytest.raises(LocalProtocolError, match="qop=auth-int: only 'auth' is supported"):
        Client(transport=answers, auth=DigestAuth("u", "p")).get(URL)


@pytest.mark.parametrize(
    "challenge", ['Basic realm="r"', "Negotiate abc", 'Digest realm="r", nonce="n", algorithm=X']
)
def test_what_cannot_be_met_is_returned(challenge: str) -> None:
    assert (
        Client(transport=Answers(unauthorized(challenge)), auth=DigestAuth("u", "p")).get(URL).status_code
        == 401
    )


@pytest.mark.parametrize(
    ("challenge", "missing"),
    [
        ("Digest", "nonce and realm"),
        ('Digest realm="r"', "nonce"),
        ('Basic realm="r", Digest nonce="n"', "realm"),
    ],
)
def test_a_challenge_that_nobody_could_answer_is_malformed(challenge: str, missing: str) -> None:
    answers = Answers(unauthorized(challenge))
    with pytest.raises(RemoteProtocolError, match=f"without saying its {missing},") as caught:
        Client(transport=answers, auth=DigestAuth("u", "p")).get(URL)
    assert caught.value.request.url == URL


def test_a_challenge_that_can_be_met_makes_up_for_a_malformed_one() -> None:
    answers = Answers(unauthorized('Digest realm="r", Digest realm="r", nonce="n"'), Response(200))
    assert Client(transport=answers, auth=DigestAuth("u", "p")).get(URL).status_code == 200


def test_the_best_of_several_challenges_is_met() -> None:
    several = 'Basic realm="b", Digest realm="r", nonce="1", algorithm=MD5, '
    several += 'Digest realm="r", nonce="2", algorithm=SHA-256'
    challenge = challenge_of(unauthorized(several))
    assert challenge is not None
    assert (challenge.nonce, challenge.algorithm) == ("2", "SHA-256")


def test_a_challenge_with_a_long_gap_is_read_in_no_time() -> None:
    response = unauthorized(f'Digest{" " * 16_000}"')
    started = process_time()
    assert challenge_of(response) is None
    assert process_time() - started < 1.0  # it took several seconds where gaps were tried in every way


def test_empty_elements_between_challenges_are_passed_over() -> None:
    challenge = challenge_of(unauthorized('Basic realm="b", , ,Digest realm="r", , nonce="1"'))
    assert challenge is not None
    assert (challenge.realm, challenge.nonce) == ("r", "1")


def test_the_password_is_not_shown() -> None:
    assert repr(DigestAuth("user", "secret")) == "DigestAuth('user', '[secure]')"
    with pytest.raises(TypeError, match="The password of DigestAuth is str or bytes, not int"):
        DigestAuth("user", 3)  # type: ignore[arg-type]  # what is tested


def test_a_password_in_bytes_is_utf_8() -> None:
    with pytest.raises(ValueError, match="The password of DigestAuth is UTF-8 where it is bytes") as caught:
        DigestAuth("user", b"hunter2\xff")
    assert "hunter2" not in str(caught.value)


def test_the_request_that_was_challenged_shows_no_answer() -> None:
    transport = Answers(unauthorized(RFC_7616.format("MD5")), Response(200))
    with Client(transport=transport, auth=DigestAuth("u", "p")) as client:
        response = client.get(URL)
    assert "authorization" not in response.history[0].request.headers
    assert response.request.headers["authorization"].startswith("Digest ")
