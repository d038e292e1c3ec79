"""Whoever sends something wrong is told in words what is right, never in a regular expression or in Python's terms."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from shared.errors import ConfigError, InvalidInput
from shared.fleet import read_fleet
from shared.web.models import Body, Headers, Query
from shared.web.parsing import validate
from tools.settings import settings_of

pytestmark = pytest.mark.unit
WRONG = ["\x01 !", "", "x" * 5000, 5, -1e19, float("nan"), True, None, [], [1], [""], {}, {"a": 1}]
NOT_FOR_USERS = ("pattern", "^", "\\", "should", "unable to", "instance of", "dictionary", "validation", "{")


def models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in of.__subclasses__():
        yield model
        yield from models(model)


def complaints(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """What is said of each field for each wrong value, as (field, message)."""
    for name, about in model.model_fields.items():
        for wrong in WRONG:
            try:
                validate(model, {about.alias or name: wrong})
            except InvalidInput as error:
                yield from ((detail["field"], detail["message"]) for detail in error.details)


def test_no_field_of_any_call_is_refused_in_a_programmers_words() -> None:
    for service in read_fleet().services:
        import_module(f"{service.package}.service")
    found = {
        (model.__name__, *said)
        for kind in (Body, Query, Headers)
        for model in models(kind)
        if ".tests." not in f".{model.__module__}"
        for said in complaints(model)
    }
    assert ("SaveBody", "signal_type") in {(model, field) for model, field, _ in found}
    assert {said for said in found if any(word in said[2] for word in NOT_FOR_USERS)} == set()


def texts_with_patterns(model: type[BaseModel]) -> dict[str, Any]:
    return {name: part for name, part in model.model_json_schema()["properties"].items() if "pattern" in str(part)}


def test_no_setting_is_refused_with_a_regular_expression() -> None:
    seen = []
    for service in read_fleet().services:
        settings = settings_of(service)
        for name in texts_with_patterns(settings):
            with pytest.raises(ConfigError) as refused:
                settings.read({name: "\x01 !", "ENV_FILES": "false"})
            assert "pattern" not in str(refused.value)
            seen.append(name)
    assert "INSTANCE_GROUP" in seen
