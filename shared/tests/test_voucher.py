"""A voucher is believed only whole, from this fleet, for this service, and for a minute."""

import base64
import json
from collections.abc import Callable

import pytest

from shared.voucher import LIFETIME_S, STEP_S, Voucher, make_voucher, read_voucher

pytestmark = pytest.mark.unit
SECRET, NOW_S = b"a secret of the fleet, long enough for it", 1_790_000_000.0
SAID = Voucher("192.0.2.1", "an account", "reader")
BEGIN = 1_800_000_000.0  # at the beginning of a step
GOOD = make_voucher(SECRET, "database-service", SAID, NOW_S)


def read(header: str, now_s: float = NOW_S) -> Voucher | None:
    return read_voucher(SECRET, "database-service", header, now_s)


def promoted(header: str) -> str:
    expiry, name, _, signature = header.split(".")
    said = json.dumps({"address": "127.0.0.1", "account_id": "an account", "role": "admin"}).encode()
    return f"{expiry}.{name}.{base64.urlsafe_b64encode(said).decode().rstrip('=')}.{signature}"


FORGERIES: dict[str, Callable[[str], str]] = {
    "another secret": lambda _: make_voucher(b"another" * 8, "database-service", SAID, NOW_S),
    "another service": lambda _: make_voucher(SECRET, "market-simulator", SAID, NOW_S),
    "of long ago": lambda _: make_voucher(SECRET, "database-service", SAID, NOW_S - LIFETIME_S - 1),
    "of a time to come": lambda _: make_voucher(SECRET, "database-service", SAID, NOW_S + 2 * LIFETIME_S),
    "another service named": lambda good: good.replace("database-service", "market-simulator"),
    "a later end": lambda good: str(int(NOW_S) + 100) + good[good.index(".") :],
    "another role": promoted,
    "no signature": lambda good: good.rpartition(".")[0] + ".",
    "a signature cut short": lambda good: good[:-1],
    "nothing": lambda _: "",
    "dots": lambda _: "...",
    "no ASCII": lambda good: good + "é",
    "far too long": lambda good: good + "A" * 4000,
}


def test_a_good_one_says_whom_it_vouches_for() -> None:
    assert read(GOOD) == SAID
    assert read(GOOD, NOW_S + LIFETIME_S - 1) == SAID


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_one_is_nobodys(forge: Callable[[str], str]) -> None:
    assert read(forge(GOOD)) is None


def test_it_ends_by_itself_however_often_it_was_read_before() -> None:
    header = make_voucher(SECRET, "database-service", SAID, BEGIN + STEP_S - 1)
    for _ in range(2):
        assert read_voucher(SECRET, "database-service", header, BEGIN + LIFETIME_S - 1) == SAID
    assert read_voucher(SECRET, "database-service", header, BEGIN + LIFETIME_S) is None


def test_the_calls_of_a_client_share_one_for_some_seconds() -> None:
    made = [make_voucher(SECRET, "database-service", SAID, BEGIN + s) for s in (0, STEP_S - 0.1, STEP_S)]
    assert made[0] == made[1] != made[2]


def test_everybody_has_one_of_their_own() -> None:
    others = [SAID, Voucher("192.0.2.8", "ada's id", "trader"), Voucher("192.0.2.7", "bob's id", "trader")]
    assert len({make_voucher(SECRET, "database-service", each, BEGIN) for each in others}) == 3
