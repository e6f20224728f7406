"""What one message shows is its own, and changes with no other that was made from the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from greenh2._models.headers import Headers
from greenh2._models.response import Response


class Stream:
    """A body whose trailers are the same list each time."""

    def __init__(self) -> None:
        self.trailers = [(b"X-Checksum", b"1")]

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"body"])

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize(
    "of", [lambda one: one.headers, lambda one: one.trailers], ids=["headers", "trailers"]
)
def test_responses_made_from_the_same_have_fields_of_their_own(of: Callable[[Response], Headers]) -> None:
    headers, stream = Headers({"X-Name": "value"}), Stream()
    first, second = (Response(200, headers=headers, stream=stream) for _ in range(2))
    for response in (first, second):
        response.read()
    of(first)["X-Changed"] = "yes"
    assert len(of(first)) == 2
    assert len(of(second)) == len(headers) == len(stream.trailers) == 1


def test_a_lookup_while_another_thread_is_at_its_first_finds_everything() -> None:
    found: list[str | None] = []

    class Name(bytes):
        """The name of a field, at which the other thread has its turn."""

        def lower(self) -> bytes:
            if not found:
                found.append(None)
                found[0] = headers.get("last")
            return super().lower()

    headers = Headers.from_raw([(b"First", b"1"), (Name(b"Second"), b"2"), (b"Last", b"3")])
    assert headers["first"] == "1"
    assert found == ["3"]


def test_a_copy_made_while_another_thread_updates_headers_has_the_old_value_or_the_new() -> None:
    found: list[list[str]] = []

    class Fields(list[tuple[bytes, bytes]]):
        """What is to be set, at which the other thread has its turn."""

        def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
            copy = headers.copy()
            found.append([value for name, value in copy.multi_items() if name == "authorization"])
            found.append(copy.get_list("authorization"))
            return super().__iter__()

    headers = Headers({"Authorization": "old", "X-Name": "value"})
    headers.update(Headers.from_raw(Fields([(b"authorization", b"new")])))
    assert found
    assert all(values in (["old"], ["new"]) for values in found)
    assert headers.multi_items() == [("x-name", "value"), ("authorization", "new")]
