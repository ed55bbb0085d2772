"""What every answer and every body has in common."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema, model_validator

from core.clock import iso

T = TypeVar("T")

MAX_DEPTH = 32
"""Levels of nesting in a body: far above any config, far below what would exhaust a stack."""

Moment = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-04-15T09:30:00Z"]}),
]
"""A time in the API's form."""


Id = Annotated[str, StringConstraints(max_length=64)]
"""An id in a body: repeated in an error when nothing has it, so not of any length."""


class View(BaseModel):
    """Base of everything that is answered."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)


class Answer(View, Generic[T]):
    """One thing."""

    data: T


class Meta(View):
    """Where a list goes on: pass `cursor` with the same filters to get the next page; null on the last one."""

    cursor: str | None = Field(examples=["eyJpZCI6IlRTSy0yNi0wMTg4NDEiLCJmIjoiM2YxYyJ9"])
    has_more: bool


class Listing(View, Generic[T]):
    """One page of a list."""

    data: list[T]
    meta: Meta


class Reason(View):
    """Why something is as it is: `code` for programs, `text` for the person who can mend it."""

    code: str
    text: str


def reason(code: str | None, text: str | None) -> Reason | None:
    """The reason, if there is one."""
    return Reason(code=code, text=text or "") if code else None


def absent() -> Any:
    """A field that may be left out of a PATCH, although null is not one of its values."""
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default")


class Body(BaseModel):
    """Base of every request body: a field nobody knows is an error, so that a typo is not silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def storable(cls, value: Any) -> Any:
        """JSON can say things that no database stores; they are refused at the door."""
        for found in _leaves(value):
            if isinstance(found, str) and not _is_text(found):
                raise ValueError("text must be valid Unicode without NUL characters")
            if isinstance(found, float) and not math.isfinite(found):
                raise ValueError("numbers must be finite")
        return value


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _leaves(value: Any) -> Iterator[Any]:
    """All keys and plain values of a JSON value, without recursion. Raises ValueError when nested too deeply."""
    rest = [(value, 0)]
    while rest:
        found, depth = rest.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(found, dict):
            yield from found
            rest.extend((inner, depth + 1) for inner in found.values())
        elif isinstance(found, list):
            rest.extend((inner, depth + 1) for inner in found)
        else:
            yield found
