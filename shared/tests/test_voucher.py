"""A voucher holds for one service and for a minute, and nobody else can make one."""

import pytest

from shared.voucher import LIFETIME_S, MAX_LENGTH, STEP_S, Voucher, make_voucher, read_voucher

pytestmark = pytest.mark.unit
SECRET, OTHER = b"a secret of the fleet, long enough for it", b"another secret of somebody, long enough"
ADA = Voucher("192.0.2.7", "ada's id", "trader")
NOW = 1_800_000_000.0  # at the beginning of a step


@pytest.mark.parametrize("voucher", [ADA, Voucher("2001:db8::1")])
def test_it_says_whom_the_gateway_vouches_for(voucher: Voucher) -> None:
    header = make_voucher(SECRET, "database-service", voucher, NOW)
    assert read_voucher(SECRET, "database-service", header, NOW) == voucher


def test_it_ends_by_itself_however_often_it_was_read_before() -> None:
    header = make_voucher(SECRET, "database-service", ADA, NOW + STEP_S - 1)
    for _ in range(2):
        assert read_voucher(SECRET, "database-service", header, NOW + LIFETIME_S - 1) == ADA
    assert read_voucher(SECRET, "database-service", header, NOW + LIFETIME_S) is None


def test_the_calls_of_a_client_share_one_for_some_seconds() -> None:
    made = [make_voucher(SECRET, "database-service", ADA, NOW + s) for s in (0, STEP_S - 0.1, STEP_S)]
    assert made[0] == made[1] != made[2]


def test_everybody_has_one_of_their_own() -> None:
    others = [ADA, Voucher("192.0.2.8", "ada's id", "trader"), Voucher("192.0.2.7", "bob's id", "trader")]
    assert len({make_voucher(SECRET, "database-service", each, NOW) for each in others}) == 3


def test_one_that_was_changed_or_made_by_somebody_else_is_none() -> None:
    header = make_voucher(SECRET, "database-service", ADA, NOW)
    expiry, service, said, signature = header.split(".")
    forged = [
        f"{int(expiry) + 1}.{service}.{said}.{signature}", f"{expiry}.other.{said}.{signature}", header[:-1],
        make_voucher(OTHER, "database-service", ADA, NOW), "", ".", "...", "é.é.é.é", "x" * MAX_LENGTH,
        header + "x" * MAX_LENGTH,
    ]  # fmt: skip
    assert [read_voucher(SECRET, "database-service", each, NOW) for each in forged] == [None] * len(forged)


def test_one_for_another_service_is_none() -> None:
    header = make_voucher(SECRET, "database-service", ADA, NOW)
    assert read_voucher(SECRET, "dashboard", header, NOW) is None


def test_one_from_a_clock_far_ahead_is_none() -> None:
    header = make_voucher(SECRET, "database-service", ADA, NOW + 3 * LIFETIME_S)
    assert read_voucher(SECRET, "database-service", header, NOW) is None
