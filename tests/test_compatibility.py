"""docs/compatibility.md leaves out no name of httpx, and calls nothing built that is not."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import requests

import greenh2

PAGE = (Path(__file__).parents[1] / "docs" / "compatibility.md").read_text(encoding="utf-8")
CODE = " ".join(re.findall(r"`([^`]*)`", PAGE))
WORDS = set(re.findall(r"\w+", CODE))

# The synchronous names of httpx 0.28.1: of the module, of its classes, and of what their constructors take.
NAMES = {
    "": """
        __description__ __title__ __version__ Auth BaseTransport BasicAuth ByteStream Client CloseError codes
        ConnectError ConnectTimeout CookieConflict Cookies create_ssl_context DecodingError delete DigestAuth get
        head Headers HTTPError HTTPStatusError HTTPTransport InvalidURL Limits LocalProtocolError main MockTransport
        NetRCAuth NetworkError options patch PoolTimeout post ProtocolError Proxy ProxyError put QueryParams
        ReadError ReadTimeout RemoteProtocolError request Request RequestError RequestNotRead Response
        ResponseNotRead stream StreamClosed StreamConsumed StreamError SyncByteStream Timeout TimeoutException
        TooManyRedirects TransportError UnsupportedProtocol URL USE_CLIENT_DEFAULT WriteError WriteTimeout
        WSGITransport""",
    "Auth": "auth_flow requires_request_body requires_response_body sync_auth_flow",
    "BaseTransport": "__enter__ __exit__ close handle_request",
    "Client": """
        auth base_url build_request close cookies delete event_hooks get head headers is_closed options params patch
        post put request send stream timeout trust_env""",
    "Cookies": "clear delete extract_cookies get items keys pop popitem set set_cookie_header setdefault update values",
    "Headers": "clear copy encoding get get_list items keys multi_items pop popitem raw setdefault update values",
    "QueryParams": "add get get_list items keys merge multi_items remove set update values",
    "Request": "content extensions headers method read stream url",
    "Response": """
        charset_encoding close content cookies default_encoding elapsed encoding extensions has_redirect_location
        headers history http_version is_client_error is_closed is_error is_informational is_redirect is_server_error
        is_stream_consumed is_success iter_bytes iter_lines iter_raw iter_text json links next_request
        num_bytes_downloaded raise_for_status read reason_phrase request status_code stream text url""",
    "URL": """
        copy_add_param copy_merge_params copy_remove_param copy_set_param copy_with fragment host is_absolute_url
        is_relative_url join netloc params password path port query raw raw_host raw_path raw_scheme scheme userinfo
        username""",
}
ARGUMENTS = {
    "Client": """
        auth params headers cookies verify cert trust_env http1 http2 proxy mounts timeout follow_redirects limits
        max_redirects event_hooks base_url transport default_encoding""",
    "HTTPTransport": """
        verify cert trust_env http1 http2 limits proxy uds local_address retries socket_options""",
    "Limits": "max_connections max_keepalive_connections keepalive_expiry",
    "Proxy": "url ssl_context auth headers",
    "Request": "method url params headers cookies content data files json stream extensions",
    "Response": """
        status_code headers content text html json stream request extensions history default_encoding""",
    "Timeout": "timeout connect read write pool",
    "WSGITransport": "app raise_app_exceptions script_name remote_addr wsgi_errors",
}


def has(owner: str, name: str) -> bool:
    return hasattr(getattr(greenh2, owner) if owner else greenh2, name)


def takes(owner: str, name: str) -> bool:
    return name in inspect.signature(getattr(greenh2, owner)).parameters


@pytest.mark.parametrize("owner", NAMES)
def test_every_name_is_there_or_on_the_page(owner: str) -> None:
    missing = [name for name in NAMES[owner].split() if not has(owner, name)]
    assert [name for name in missing if name not in WORDS] == []


@pytest.mark.parametrize("owner", ARGUMENTS)
def test_every_argument_is_there_or_on_the_page(owner: str) -> None:
    missing = [name for name in ARGUMENTS[owner].split() if not takes(owner, name)]
    assert [name for name in missing if name not in WORDS] == []


BUILT = [
    name
    for theirs, ours in re.findall(r"^\| (.*?) \| (.*?) \|$", PAGE.partition("## requests")[0], re.MULTILINE)
    if ours.startswith("built") and "extension" not in theirs
    for code in re.findall(r"`([^`]*)`", theirs)
    for name in re.findall(r"[\w.]+", code)
]


@pytest.mark.parametrize("name", sorted(set(BUILT)))
def test_what_is_called_built_is_there(name: str) -> None:
    owner, _, last = name.rpartition(".")
    owners = [owner] if owner else ["", *NAMES]
    assert any(has(one, last) for one in owners) or any(takes(one, last) for one in ARGUMENTS)


def test_the_page_calls_something_built() -> None:
    assert len(set(BUILT)) > 90


@pytest.mark.parametrize(
    ("arguments", "theirs", "ours"),
    [
        ({"params": {"a": None, "b": ""}}, "b=", "a=&b="),
        ({"params": {"a": True}}, "a=True", "a=true"),
        ({"data": {"a": None, "b": True}}, "b=True", "a=&b=true"),
        ({"json": {"a": "é"}}, '{"a": "\\u00e9"}', '{"a":"é"}'),
    ],
)
def test_what_requests_sends_otherwise_is_as_the_page_says(
    arguments: dict[str, Any], theirs: str, ours: str
) -> None:
    prepared = requests.Request("POST", "http://a.example/", **arguments).prepare()
    body = prepared.body.decode() if isinstance(prepared.body, bytes) else prepared.body
    assert (body or prepared.path_url.partition("?")[2]) == theirs
    built = greenh2.Request("POST", "http://a.example/", **arguments)
    assert (built.content.decode() or built.url.query.decode()) == ours
