"""Forms with files arrive whole, over both protocols, with their length and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

HEADERS = {"Content-Type": "multipart/form-data; boundary=B"}


@BOTH
@pytest.mark.parametrize("measured", [True, False])
def test_a_form_with_a_large_file_arrives_whole(
    origin: OriginFactory, make_client: MakeClient, tmp_path: Path, alpn: tuple[str, ...], measured: bool
) -> None:
    server = origin(alpn=alpn)
    content = bytes(range(256)) * 4000
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    with path.open("rb") as file:
        part: Any = ("large.bin", file if measured else iter([content]))
        response = make_client().post(
            f"{server.url}/echo", data={"a": "1"}, files={"f": part}, headers=HEADERS
        )
    assert response.content == (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="large.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--B--\r\n"
    )
    sent = response.request.headers
    assert ("content-length" in sent, "transfer-encoding" in sent) == (measured, not measured)
