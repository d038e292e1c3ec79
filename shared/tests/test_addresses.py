"""Limits count by subscriber: who has a whole IPv6 network has one limit, not 2^64."""

import pytest

from shared.addresses import subscriber

pytestmark = pytest.mark.unit


def test_of_an_ipv6_address_its_network_counts() -> None:
    mine = {subscriber(address) for address in ("2001:db8::1", "2001:db8::ffff:1", "2001:0db8:0:0:1:2:3:4")}
    assert len(mine) == 1
    assert subscriber("2001:db8:0:1::1") not in mine


@pytest.mark.parametrize("address", ["192.0.2.1", "", "no address", "::no address"])
def test_everything_else_counts_as_it_is(address: str) -> None:
    assert subscriber(address) == address
