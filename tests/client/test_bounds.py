"""How large the body of a response may be: what the user allows, and what is no honest compression."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import pytest

import greenh2
from greenh2._models.bounds import FREE_OF_RATIO, MAX_RATIO
from tests.client.answers import Answers, Pieces

URL = "https://user:secret@a.example/large"


def answer(*pieces: bytes, **headers: str) -> tuple[greenh2.Response, Pieces]:
    body = Pieces(*pieces)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return greenh2.Response(200, headers=fields, stream=body), body


def test_a_body_as_large_as_is_allowed_is_read() -> None:
    response, _ = answer(b"12345", b"67890")
    with greenh2.Client(transport=Answers(response), max_response_bytes=10) as client:
        assert client.get(URL).content == b"1234567890"


WAYS: list[Callable[[greenh2.Response], object]] = [
    lambda response: response.read(),
    lambda response: list(response.iter_bytes()),
    lambda response: list(response.iter_bytes(3)),
    lambda response: list(response.iter_raw()),
    lambda response: list(response.iter_text()),
    lambda response: list(response.iter_lines()),
]


@pytest.mark.parametrize("read", WAYS, ids=["read", "bytes", "chunks", "raw", "text", "lines"])
def test_a_larger_one_is_given_up(read: Callable[[greenh2.Response], object]) -> None:
    response, body = answer(b"12345", b"67890", b"!", b"never pulled")
    with (
        greenh2.Client(transport=Answers(response), max_response_bytes=10) as client,
        client.stream("GET", URL) as response,
    ):
        with pytest.raises(
            greenh2.ResponseTooLarge, match="max_response_bytes is 10, and the body of "
        ) as caught:
            read(response)
    assert body.closed
    assert body.given == 3
    assert caught.value.request.url.host == "a.example"
    assert "secret" not in str(caught.value)


def test_one_that_is_announced_as_larger_is_not_read_at_all() -> None:
    response, body = answer(b"x", content_length="11")
    with (
        greenh2.Client(transport=Answers(response), max_response_bytes=10) as client,
        pytest.raises(greenh2.ResponseTooLarge, match="announced with 11"),
    ):
        client.get(URL)
    assert body.given == 0
    assert body.closed


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000 + "11"], ids=["nines", "zeros"])
def test_a_length_of_more_digits_than_python_reads_is_an_announcement_as_any_other(length: str) -> None:
    response, body = answer(b"x", content_length=length)
    client = greenh2.Client(transport=Answers(response), max_response_bytes=10)
    with pytest.raises(greenh2.ResponseTooLarge) as caught:
        client.get(URL)
    assert len(str(caught.value)) < 400
    assert body.given == 0


def test_what_head_announces_is_no_body() -> None:
    response, _ = answer(content_length="1000")
    with greenh2.Client(transport=Answers(response), max_response_bytes=10) as client:
        assert client.head(URL).headers["content-length"] == "1000"


def test_what_is_decoded_counts_as_well() -> None:
    response, body = answer(gzip.compress(bytes(1000)), content_encoding="gzip")
    with (
        greenh2.Client(transport=Answers(response), max_response_bytes=999) as client,
        pytest.raises(greenh2.ResponseTooLarge, match="once it is decoded"),
    ):
        client.get(URL)
    assert body.closed


def test_a_request_may_have_a_bound_of_its_own() -> None:
    answers = Answers(answer(b"123456")[0], answer(b"123456")[0])
    with greenh2.Client(transport=answers, max_response_bytes=5) as client:
        assert client.get(URL, extensions={"max_response_bytes": None}).content == b"123456"
        with pytest.raises(greenh2.ResponseTooLarge):
            client.get(URL, extensions={"max_response_bytes": 4})


@pytest.mark.parametrize("most", [-1, 1.5, "10", True])
def test_a_bound_that_is_no_number_of_bytes_is_refused(most: object) -> None:
    with pytest.raises(ValueError, match="max_response_bytes is a number of bytes or None, not "):
        greenh2.Client(max_response_bytes=most)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [None, 1000])
def test_a_bomb_between_two_codings_is_one_though_nothing_comes_of_it(most: int | None) -> None:
    ignored = gzip.compress(b"") + bytes(20 * FREE_OF_RATIO)  # what follows a member and begins none
    response, body = answer(
        gzip.compress(gzip.compress(ignored)), b"never pulled", content_encoding="gzip, gzip, gzip"
    )
    with (
        greenh2.Client(transport=Answers(response), max_response_bytes=most) as client,
        pytest.raises(greenh2.DecodingError if most is None else greenh2.ResponseTooLarge),
    ):
        client.get(URL)
    assert (body.closed, body.given) == (True, 1)


def test_codings_that_make_a_body_longer_do_not_count_against_the_bound() -> None:
    data = random.Random(3).randbytes(1000)
    packed = gzip.compress(gzip.compress(data))
    response, _ = answer(packed, content_encoding="gzip, gzip")
    with greenh2.Client(transport=Answers(response), max_response_bytes=len(packed)) as client:
        assert client.get(URL).content == data


def test_a_bomb_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(10 * FREE_OF_RATIO))
    response, body = answer(packed, content_encoding="gzip")
    with (
        greenh2.Client(transport=Answers(response)) as client,
        pytest.raises(greenh2.DecodingError, match=f"over {MAX_RATIO} times as many"),
    ):
        client.get(URL)
    assert body.closed


def test_who_says_how_much_is_allowed_may_unpack_it() -> None:
    size = 2 * FREE_OF_RATIO
    response, _ = answer(gzip.compress(bytes(size)), content_encoding="gzip")
    with greenh2.Client(transport=Answers(response), max_response_bytes=size) as client:
        assert len(client.get(URL).content) == size


def test_what_is_well_compressed_and_honest_is_unpacked() -> None:
    words = [b"%08d" % number for number in range(1000)]
    text = b" ".join(random.Random(1).choices(words, k=FREE_OF_RATIO // 3))
    response, _ = answer(gzip.compress(text), content_encoding="gzip")
    with greenh2.Client(transport=Answers(response)) as client:
        assert client.get(URL).content == text
