"""The error tree: one status and one code each."""

import pytest

from shared.errors import FleetError, InvalidInput, Unavailable

pytestmark = pytest.mark.unit


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    kinds = FleetError.__subclasses__()
    assert len({kind.status for kind in kinds}) == len({kind.code for kind in kinds}) == len(kinds) == 11
    assert {kind.status for kind in kinds} == {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503}


def test_an_error_about_one_field_names_it() -> None:
    error = InvalidInput.field("price", "must be above 0")
    assert error.details == [{"field": "price", "message": "must be above 0"}]
    assert str(error) == "price: must be above 0"


def test_what_is_away_says_when_to_retry() -> None:
    assert Unavailable("the database is away").retry_after_s == 1.0
    assert InvalidInput("wrong").retry_after_s is None
