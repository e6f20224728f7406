"""NetRCAuth sends to each host what the netrc file has for it, and nothing to others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from greenh2 import Client, NetRCAuth, Response
from tests.client.answers import Answers


def sent_to(url: str, auth: NetRCAuth) -> str | None:
    answers = Answers(Response(200))
    Client(transport=answers, auth=auth).get(url)
    return answers.last.headers.get("authorization")


def test_each_host_is_sent_its_own(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine a.example login user password secret\n")
    auth = NetRCAuth(file)
    assert sent_to("https://a.example/", auth) == "Basic dXNlcjpzZWNyZXQ="
    assert sent_to("https://c.example/", auth) is None
    assert "secret" not in repr(auth)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="until 3.10, netrc takes such an entry for an error")
def test_a_host_without_a_password_is_sent_none(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine b.example login only\n")
    assert sent_to("https://b.example/", NetRCAuth(file)) is None


def test_the_default_entry_stands_for_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("default login user password secret\n")
    assert sent_to("https://c.example/", NetRCAuth(str(file))) == "Basic dXNlcjpzZWNyZXQ="


def test_a_file_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NetRCAuth(tmp_path / "none")
