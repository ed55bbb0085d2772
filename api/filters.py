"""Kinds of query parameters that several lists share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

MAX_NAMES = 20
"""Each becomes a condition of the query."""


@dataclass(frozen=True)
class Several:
    """Marks a text that is one of the allowed values, or several of them with commas between."""

    allowed: tuple[str, ...]

    def check(self, value: str) -> str:
        """The value itself. Raises ValueError naming what is allowed."""
        if not set(value.split(",")) <= set(self.allowed):
            raise ValueError(f"must be one of {', '.join(self.allowed)}, or several with commas between them")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        either = "|".join(self.allowed)
        return handler(schema) | {
            "pattern": f"^({either})(,({either}))*$",
            "description": "One value, or several with commas between them.",
            "examples": [self.allowed[0], ",".join(self.allowed[:2])],
        }


def _few(value: str) -> str:
    if value.count(",") >= MAX_NAMES:
        raise ValueError(f"must be at most {MAX_NAMES} names")
    return value


Names = Annotated[str, AfterValidator(_few)]
"""One name, or several with commas between them; one that ends in `*` stands for all that begin so."""


def _moment(value: Any, day: timedelta) -> datetime:
    """A time with its offset as it is; a date as its start, plus `day`."""
    try:
        if len(str(value)) == len("2026-04-15"):
            return datetime.combine(date.fromisoformat(str(value)), time(tzinfo=UTC)) + day
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a date (2026-04-15) or a time with its offset (2026-04-15T09:30:00Z)")


def _start(value: Any) -> datetime:
    return _moment(value, timedelta(0))


def _end(value: Any) -> datetime:
    return _moment(value, timedelta(days=1))


_EITHER = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})

Since = Annotated[datetime, BeforeValidator(_start), _EITHER]
"""The first moment of a period; a date means its start."""

Until = Annotated[datetime, BeforeValidator(_end), _EITHER]
"""The end of a period, itself not part of it; a date means its end."""
