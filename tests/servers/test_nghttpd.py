"""greenh2 against nghttpd: HTTP/2 over TLS."""

import pytest

import greenh2
from tests.servers.work import connections, crowd, pieces, streamed
from tests.support.certificates import Certificates
from tests.support.daemons import Daemon, Daemons, content


@pytest.fixture
def nghttpd(daemons: Daemons) -> Daemon:
    return daemons.nghttpd("--echo-upload", "--trailer", "x-checksum: 1234")


def test_a_small_get(nghttpd: Daemon, client: greenh2.Client) -> None:
    response = client.get(f"{nghttpd.h2}/small.txt")
    assert (response.status_code, response.text, response.http_version) == (200, "hello\n", "HTTP/2")
    assert response.headers["server"].startswith("nghttpd")


def test_trailers_come_after_the_body(nghttpd: Daemon, client: greenh2.Client) -> None:
    with client.stream("GET", f"{nghttpd.h2}/600000.bin") as response:
        assert "x-checksum" not in response.trailers
        response.read()
        assert response.trailers["x-checksum"] == "1234"


def test_a_thousand_requests_of_fifty_greenlets_over_one_connection(
    nghttpd: Daemon, client: greenh2.Client
) -> None:
    responses = crowd(50, 1000, lambda: client.get(f"{nghttpd.h2}/small.txt"))
    assert {response.text for response in responses} == {"hello\n"}
    assert len(connections(responses)) == 1


def test_waiters_get_a_stream_when_one_is_free(daemons: Daemons, single: greenh2.Client) -> None:
    server = daemons.nghttpd("--max-concurrent-streams", "2")
    responses = crowd(20, 100, lambda: single.get(f"{server.h2}/600000.bin"))
    assert all(response.content == content(600_000) for response in responses)
    assert len(connections(responses)) == 1


def test_a_large_body_streamed(nghttpd: Daemon, client: greenh2.Client) -> None:
    assert streamed(client, f"{nghttpd.h2}/5000000.bin") == content(5_000_000)


def test_a_body_with_padding_and_without_a_length(daemons: Daemons, single: greenh2.Client) -> None:
    server = daemons.nghttpd("--padding", "200", "--no-content-length")
    bodies = crowd(4, 12, lambda: streamed(single, f"{server.h2}/5000000.bin"))
    assert all(body == content(5_000_000) for body in bodies)


def test_an_upload_comes_back_as_it_was_sent(nghttpd: Daemon, client: greenh2.Client) -> None:
    body = content(3_000_000)
    assert client.post(f"{nghttpd.h2}/anything", content=body).content == body


def test_an_upload_of_unknown_length_comes_back(nghttpd: Daemon, client: greenh2.Client) -> None:
    response = client.put(f"{nghttpd.h2}/anything", content=pieces(50_000, 20))
    assert response.content == b"".join(pieces(50_000, 20))


def test_eight_uploads_at_once_through_small_windows(daemons: Daemons, single: greenh2.Client) -> None:
    server = daemons.nghttpd("--echo-upload", "--window-bits", "14", "--connection-window-bits", "16")
    body = content(1_000_000)
    responses = crowd(8, 16, lambda: single.post(f"{server.h2}/anything", content=body))
    assert all(response.content == body for response in responses)


def test_an_answer_that_comes_before_the_upload_is_sent(daemons: Daemons, client: greenh2.Client) -> None:
    server = daemons.nghttpd("--early-response")
    assert client.post(f"{server.h2}/small.txt", content=b"x" * 2_000_000).text == "hello\n"
    assert client.get(f"{server.h2}/small.txt").text == "hello\n"


def test_a_push_is_not_wanted_and_not_sent(daemons: Daemons, client: greenh2.Client) -> None:
    server = daemons.nghttpd("--push", "/small.txt=/page.html")
    responses = crowd(5, 20, lambda: client.get(f"{server.h2}/small.txt"))
    assert len(connections(responses)) == 1


def test_a_small_header_table(daemons: Daemons, client: greenh2.Client) -> None:
    server = daemons.nghttpd("--header-table-size", "0", "--encoder-header-table-size", "64")
    responses = crowd(5, 50, lambda: client.get(f"{server.h2}/small.txt", headers={"x-long": "v" * 500}))
    assert {response.status_code for response in responses} == {200}


def test_what_is_not_there_is_404(nghttpd: Daemon, client: greenh2.Client) -> None:
    assert client.get(f"{nghttpd.h2}/absent").status_code == 404


def test_head_has_a_length_and_no_body(nghttpd: Daemon, client: greenh2.Client) -> None:
    response = client.head(f"{nghttpd.h2}/600000.bin")
    assert (response.headers["content-length"], response.content) == ("600000", b"")


def test_a_client_that_speaks_http1_alone_is_told_so(nghttpd: Daemon, certificates: Certificates) -> None:
    with (
        greenh2.Client(verify=certificates.ca_file, http2=False) as old,
        pytest.raises(greenh2.TransportError),
    ):
        old.get(f"{nghttpd.h2}/small.txt")
