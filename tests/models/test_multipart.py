"""A form with files: what is sent, how long it says it is, how often it can be sent, and what is refused."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenh2 import Client, LocalProtocolError, Request, Response, StreamConsumed
from greenh2._models.body import CHUNK_SIZE
from greenh2._models.multipart import MultipartBody, encode_multipart
from tests.client.answers import Answers, redirect

URL = "http://a.example/"


class Pipe:
    """A file that cannot seek."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


def post(**body: Any) -> Request:
    return Request("POST", URL, **{"headers": {"Content-Type": "multipart/form-data; boundary=B"}, **body})


def parts_of(request: Request) -> list[Message]:
    """Take a form apart by the standard library's parser."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + request.read()).get_payload()
    return cast("list[Message]", parts)


def body_of(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def test_fields_come_first_and_files_follow() -> None:
    request = post(data={"a": "1"}, files={"f": ("n.txt", b"content")})
    assert request.read() == (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\ncontent\r\n"
        b"--B--\r\n"
    )


def test_a_boundary_is_made_up_and_told() -> None:
    first, second = (Request("POST", URL, files={"f": b"x"}) for _ in "12")
    assert first.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert first.headers["content-type"] != second.headers["content-type"]
    assert body_of(parts_of(first)[0]) == b"x"


@pytest.mark.parametrize(
    ("content_type", "sent", "first_line"),
    [
        ("multipart/form-data; boundary=B", "multipart/form-data; boundary=B", b"--B"),
        ('multipart/form-data; boundary="a b"', 'multipart/form-data; boundary="a b"', b"--a b"),
        ("Multipart/Mixed; charset=utf-8; boundary=B", "Multipart/Mixed; charset=utf-8; boundary=B", b"--B"),
    ],
)
def test_a_boundary_that_was_given_is_used(content_type: str, sent: str, first_line: bytes) -> None:
    request = post(files={"f": b"x"}, headers={"Content-Type": content_type})
    assert request.headers["content-type"] == sent
    assert request.read().split(b"\r\n")[0] == first_line


def test_a_boundary_is_added_where_it_was_forgotten() -> None:
    request = post(files={"f": b"x"}, headers={"Content-Type": "multipart/form-data"})
    assert request.headers.get_list("content-type") == [request.headers["content-type"]]
    assert body_of(parts_of(request)[0]) == b"x"


def test_a_content_type_of_another_kind_stays_as_it_was_given() -> None:
    request = post(files={"f": b"x"}, headers={"Content-Type": "application/octet-stream"})
    assert request.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("boundary", ["x" * 71, '"a "', '"a\\"b"', "ü"])
def test_a_boundary_that_cannot_be_one_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="cannot be a boundary"):
        post(files={"f": b"x"}, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("ü", [b"\xc3\xbc"]),
        (b"\xff", [b"\xff"]),
        (3, [b"3"]),
        (1.5, [b"1.5"]),
        (True, [b"true"]),
        (None, [b""]),
        (["1", 2], [b"1", b"2"]),
        ((b"1",), [b"1"]),
        ([], []),
    ],
)
def test_fields_are_written_as_in_a_query(value: Any, sent: list[bytes]) -> None:
    parts = parts_of(post(data={"a": value}, files={"f": b"x"}))
    assert [body_of(part) for part in parts[:-1]] == sent


@pytest.mark.parametrize(
    ("file", "disposition", "content_type", "content"),
    [
        (b"x", 'form-data; name="f"; filename="upload"', "application/octet-stream", b"x"),
        ("ü", 'form-data; name="f"; filename="upload"', "application/octet-stream", b"\xc3\xbc"),
        (io.BytesIO(b"x"), 'form-data; name="f"; filename="upload"', "application/octet-stream", b"x"),
        (("a.html", b"x"), 'form-data; name="f"; filename="a.html"', "text/html", b"x"),
        (("a", b"x"), 'form-data; name="f"; filename="a"', "application/octet-stream", b"x"),
        (("a.html", b"x", "x/y"), 'form-data; name="f"; filename="a.html"', "x/y", b"x"),
        (("a.html", b"x", None), 'form-data; name="f"; filename="a.html"', "text/html", b"x"),
        ((None, b"x"), 'form-data; name="f"', None, b"x"),
        ((None, '{"a": 1}', "application/json"), 'form-data; name="f"', "application/json", b'{"a": 1}'),
        (("", b""), 'form-data; name="f"; filename=""', "application/octet-stream", b""),
    ],
)
def test_a_file_is_itself_or_a_tuple(
    file: Any, disposition: str, content_type: str | None, content: bytes
) -> None:
    (part,) = parts_of(post(files={"f": file}))
    assert (part["Content-Disposition"], part["Content-Type"]) == (disposition, content_type)
    assert body_of(part) == content


def test_a_part_may_have_more_headers() -> None:
    (part,) = parts_of(post(files={"f": ("a.txt", b"x", "text/x", {"X-A": "1"})}))
    assert (part["X-A"], part["Content-Type"]) == ("1", "text/x")


def test_a_content_type_among_the_headers_of_a_part_wins() -> None:
    (part,) = parts_of(post(files={"f": ("a.txt", b"x", None, {"content-type": "x/y"})}))
    assert part.get_all("Content-Type") == ["x/y"]


def test_several_files_may_have_one_name() -> None:
    parts = parts_of(post(files=[("f", b"1"), ("f", ("n", b"2"))]))
    assert [body_of(part) for part in parts] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ('a"b', b"a%22b"),
        ("a\r\nb", b"a%0D%0Ab"),
        ("a\0b", b"a%00b"),
        ("a\\b", b"a\\\\b"),
        ("ü☃", "ü☃".encode()),
        ("a%22", b"a%22"),
        ("a;b=c", b"a;b=c"),
    ],
)
def test_names_are_escaped_as_browsers_do(name: str, written: bytes) -> None:
    request = post(data={name: "1"}, files={name: (name, b"x", "x/y")})
    expected = b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n1\r\n' % written
    expected += b'--B\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n' % (written, written)
    assert request.read() == expected + b"Content-Type: x/y\r\n\r\nx\r\n--B--\r\n"


@given(st.text(), st.text(), st.binary())
def test_no_name_breaks_out_of_its_header(name: str, filename: str, content: bytes) -> None:
    try:
        request = Request("POST", URL, files={name: (filename, content, "x/y")})
    except UnicodeEncodeError:
        return  # half of a surrogate pair is not text
    head, _, rest = request.read().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert [line.partition(b":")[0] for line in lines[1:]] == [b"Content-Disposition", b"Content-Type"]
    assert lines[1].count(b'"') == 4
    assert rest == content + b"\r\n" + lines[0] + b"--\r\n"


# -- length ----------------------------------------------------------------------------------------------


def test_the_length_is_known_when_every_part_can_be_measured(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"x" * 1000)
    with path.open("rb") as file:
        request = post(data={"ü": "☃"}, files=[("f", file), ("g", io.BytesIO(b"yy")), ("h", b"z")])
        assert int(request.headers["content-length"]) == len(request.read())
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("file", [Pipe(b"x"), iter([b"x"]), [b"x"]])
def test_a_part_of_unknown_length_makes_the_form_one(file: Any) -> None:
    request = post(files={"f": ("n", file)})
    assert request.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in request.headers
    assert body_of(parts_of(request)[0]) == b"x"


def test_a_file_is_named_as_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"x")
    with path.open("rb") as file, open(os.dup(file.fileno()), "rb") as numbered:
        named, unnamed = parts_of(post(files=[("f", file), ("g", numbered)]))
    assert (named.get_filename(), named.get_content_type()) == ("photo.png", "image/png")
    assert unnamed.get_filename() == "upload"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are Unicode")
def test_a_file_whose_name_is_no_utf_8_can_be_sent(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(path, "w+b") as file:
        assert b'filename="caf?.txt"' in post(files={"f": file}).read()


def test_a_large_file_is_sent_in_chunks_as_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (3 * CHUNK_SIZE))
    with path.open("rb") as file:
        chunks = post(files={"f": file}).body.chunks()
        assert file.tell() == 0
        assert len(next(chunks)) < 2 * CHUNK_SIZE
        assert file.tell() == CHUNK_SIZE
        assert len([*chunks]) == 3


def test_small_parts_leave_in_one_chunk() -> None:
    assert (
        len([*post(data={str(number): "x" for number in range(100)}, files={"f": b"x"}).body.chunks()]) == 1
    )


# -- sending it again ------------------------------------------------------------------------------------


def test_a_file_is_sent_from_its_beginning_wherever_it_stands() -> None:
    file = io.BytesIO(b"0123")
    for _ in range(2):  # the first leaves it at its end
        request = post(files={"f": ("n", file)})
        assert b"\r\n\r\n0123\r\n" in request.read()
        assert int(request.headers["content-length"]) == len(request.content)


def test_a_form_of_bytes_and_files_is_sent_again_whole() -> None:
    file = io.BytesIO(b"0123")
    file.seek(2)
    answers = Answers(redirect("/2", 307), Response(200))
    Client(transport=lambda request: (request.read(), answers(request))[1], follow_redirects=True).post(
        URL, files={"f": ("n", file)}
    )
    assert [request.read().count(b"\r\n\r\n0123\r\n") for request in answers.requests] == [1, 1]


def test_one_file_may_stand_in_two_places() -> None:
    file = io.BytesIO(b"ab")
    assert [body_of(part) for part in parts_of(post(files=[("f", file), ("g", file)]))] == [b"ab", b"ab"]


@pytest.mark.parametrize("file", [Pipe(b"x"), iter([b"x"])])
def test_a_form_that_can_be_read_once_is_never_sent_twice(file: Any) -> None:
    def serve(request: Request) -> Response:
        b"".join(request.stream)
        return redirect("/2", 307)

    with pytest.raises(StreamConsumed, match="can be read only once"):
        Client(transport=serve, follow_redirects=True).post(URL, files={"f": ("n", file)})
    body = post(files={"f": ("n", file)}).body
    list(body)
    with pytest.raises(StreamConsumed):
        body.chunks()


def test_closing_a_form_ends_its_generators_and_no_file() -> None:
    ended: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"x" * CHUNK_SIZE
            yield b"y"
        finally:
            ended.append("pieces")

    file = io.BytesIO(b"z")
    body = post(files=[("f", ("n", pieces())), ("g", file)]).body
    chunks = body.chunks()
    next(chunks)
    body.close()
    assert ended == ["pieces"]
    assert not file.closed


# -- what is refused -------------------------------------------------------------------------------------


def test_a_file_opened_as_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    with path.open() as file, pytest.raises(TypeError, match=r"The file 'f' cannot be sent.*mode \"rb\""):
        post(files={"f": file})
    with pytest.raises(TypeError, match="opened as text"):
        post(files={"f": ("n", io.StringIO("x"))})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"files": {"f": 3}}, "The file 'f' cannot be sent"),
        ({"files": {"f": ("n", None)}}, "The file 'f' cannot be sent"),
        ({"files": {"f": ("n",)}}, "a tuple of 1"),
        ({"files": {"f": (1, 2, 3, 4, 5)}}, "a tuple of 5"),
        ({"files": {"f": (3, b"x")}}, "The filename of 'f' is a str or None, not int"),
        (
            {"files": {"f": ("n", b"x", b"a/b")}},
            "The content type of the file 'f' is a str or None, not bytes",
        ),
        ({"files": {"f": ("n", b"x", None, [("X", "1")])}}, "The headers of the file 'f' are a mapping"),
        (
            {"files": {"f": ("n", b"x", None, {"X": 1})}},
            "The headers of the file 'f' are .* not of str to int",
        ),
        ({"files": {3: b"x"}}, "The name of a part of a form is a str, not int"),
        ({"files": io.BytesIO(b"x")}, "files is a mapping or a list of pairs"),
        ({"files": [b"x"]}, "files is a mapping or a list of pairs"),
        ({"files": {"f": b"x"}, "data": {"a": {}}}, "The field 'a' of a form is"),
        ({"files": {"f": b"x"}, "data": [("a", "1")]}, "data is a mapping"),
        ({"files": {"f": b"x"}, "content": b"x"}, "one body"),
        ({"files": {"f": b"x"}, "json": 1}, "one body"),
    ],
)
def test_what_is_no_form_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        post(**body)


@pytest.mark.parametrize("part", [("n", b"x", "a/b\r\nX: 1"), ("n", b"x", None, {"X\r\nY": "1"})])
def test_headers_of_a_part_cannot_be_smuggled(part: Any) -> None:
    with pytest.raises(LocalProtocolError):
        post(files={"f": part})


@pytest.mark.parametrize("files", [{}, [], None])
def test_without_files_data_are_a_plain_form(files: Any) -> None:
    request = Request("POST", URL, data={"a": "1"}, files=files)
    assert (request.headers["content-type"], request.content) == ("application/x-www-form-urlencoded", b"a=1")


def test_bytes_in_a_plain_form_are_sent_as_they_are() -> None:
    assert Request("POST", URL, data={"a": b"\xff", "b": [b"1", 2]}).content == b"a=%FF&b=1&b=2"


def test_a_form_is_content_of_another_request() -> None:
    _, form = encode_multipart(None, {"f": io.BytesIO(b"x")})
    again = Request("PUT", URL, content=form)
    assert isinstance(again.body, MultipartBody)
    assert int(again.headers["content-length"]) == len(again.read())
