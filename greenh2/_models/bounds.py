"""Bounds on the body of a response: what the user allows, and what is honest where it was compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenh2._errors import DecodingError, ResponseTooLarge

if TYPE_CHECKING:
    from greenh2._models.headers import Headers
    from greenh2._models.request import Request

#: A body that has become larger than this by decoding (bytes) may be so many times what was received.  gzip reaches
#: 1,032 with nothing but zeros, and 5 to 20 with what people send.
FREE_OF_RATIO: Final = 2 * 1024 * 1024
MAX_RATIO: Final = 250
# Digits of a Content-Length: 18 say an exabyte.
_LONGEST_LENGTH: Final = 18


def check_announced(most: int, headers: Headers, request: Request | None) -> None:
    """Raise ResponseTooLarge for a body whose Content-Length is beyond the bound; the answer to HEAD has none."""
    length = headers.get("content-length", "")
    to_head = request is not None and request.method == "HEAD"
    if not (length.isascii() and length.isdigit()) or to_head:
        return
    digits = length.lstrip("0")
    if len(digits) > _LONGEST_LENGTH or int(digits or "0") > most:
        raise too_large(most, f"is announced with {length[:64]}", request)


def check_decoded(most: int | None, taken: int, made: int, request: Request | None) -> None:
    """Raise when more comes of decoding than is allowed (ResponseTooLarge), or than is honest (DecodingError).

    `taken` and `made` are bytes so far, before and after it.
    """
    if most is not None:
        if made > most:
            raise too_large(most, "has more once it is decoded", request)
    elif made > FREE_OF_RATIO and made > MAX_RATIO * taken:
        raise DecodingError(
            f"{taken} bytes have swollen to {made} and more by decoding, over {MAX_RATIO} times as many, which is "
            "how a decompression bomb looks: set max_response_bytes to what the body may have, and that bound "
            "holds in place of this one."
        )


def too_large(most: int, how: str, request: Request | None) -> ResponseTooLarge:
    """Make the error of a body that is larger than `most` bytes."""
    whose = "" if request is None else f" of {request.url.redacted}"
    return ResponseTooLarge(
        f"max_response_bytes is {most}, and the body{whose} {how}: nothing more of it is read. Allow more, for the "
        'client or by the request\'s extension "max_response_bytes".'
    )
