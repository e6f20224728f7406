"""Tests of code that uses greenh2: a transport that a fixture makes answers in place of the network.

Run it with `python -m pytest examples/shop_test.py`.
"""

from collections.abc import Iterator

import pytest

import greenh2


def order(client: greenh2.Client, tea: str) -> int:
    """Order some tea, and return the number of the order: the code to be tested."""
    response = client.post("/orders", json={"tea": tea})
    if response.status_code == 409:
        raise LookupError(f"{tea} is sold out")
    return int(response.raise_for_status().json()["number"])


class Shop:
    """A stand-in for the server: remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[greenh2.Request] = []
        self.sold_out: set[str] = set()

    def __call__(self, request: greenh2.Request) -> greenh2.Response:
        self.requests.append(request)
        if any(tea.encode() in request.content for tea in self.sold_out):
            return greenh2.Response(409)
        return greenh2.Response(201, json={"number": len(self.requests)})


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[greenh2.Client]:
    transport = greenh2.MockTransport(shop)
    with greenh2.Client(transport=transport, base_url="https://shop.example") as client:
        yield client


def test_an_order_has_a_number(client: greenh2.Client, shop: Shop) -> None:
    assert order(client, "sencha") == 1
    assert shop.requests[0].url == "https://shop.example/orders"
    assert shop.requests[0].content == b'{"tea":"sencha"}'


def test_what_is_sold_out_cannot_be_ordered(client: greenh2.Client, shop: Shop) -> None:
    shop.sold_out.add("sencha")
    with pytest.raises(LookupError, match="sencha is sold out"):
        order(client, "sencha")


def test_a_server_that_is_away_is_an_error() -> None:
    def away(request: greenh2.Request) -> greenh2.Response:
        raise greenh2.ConnectError("nobody there")

    with greenh2.Client(transport=greenh2.MockTransport(away), base_url="https://shop.example") as client:
        with pytest.raises(greenh2.ConnectError):
            order(client, "sencha")
