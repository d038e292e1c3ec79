"""What a route declares: the models of its body, query, headers and answer."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Shape:
    """`Annotated[str, Shape(pattern, words)]`: a text that the pattern fits; who sends another is told the words.

    `words` go on after the field's name: "must be …". OpenAPI has the pattern.
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        shaped = core_schema.str_schema(pattern=self.pattern)
        return core_schema.custom_error_schema(shaped, custom_error_type="shape", custom_error_message=self.words)


class Body(BaseModel):
    """A JSON body: nothing coerced, nothing unknown, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Query(BaseModel):
    """Query parameters (texts are converted) or headers: nothing unknown, no NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Headers(BaseModel):
    """Request headers that a route reads, by alias; others are none of its business."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Answer(BaseModel):
    """An answer, for the documentation and for tests; more fields may stand beside those named."""

    model_config = ConfigDict(extra="allow")


class DataAnswer(Answer):
    """An answer whose `data` is an object that no model describes further."""

    success: bool
    data: dict[str, Any]


class ListAnswer(Answer):
    """An answer whose `data` is a list of such objects."""

    success: bool
    data: list[dict[str, Any]]
