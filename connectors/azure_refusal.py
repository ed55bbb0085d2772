"""What Azure says when it does not take a change to a work item: which fields are wrong, told in data or only in words.
Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from connectors.response import Response, plain_words

_TEST_FAILED = ("TestPatchOperationFailedException", "VS403351")


class Problem(NamedTuple):
    """An error answer: its sentence, its type, and the reference names of the fields it blames."""

    text: str
    type: str
    fields: frozenset[str]

    def says(self, code: str) -> bool:
        """Whether it is the one with this code."""
        return code in self.text or code == self.type

    @property
    def is_a_race(self) -> bool:
        """Whether the work item is not at the revision that was named."""
        return any(map(self.says, _TEST_FAILED))


class _Rule(msgspec.Struct, rename="camel"):
    field_reference_name: str | None = None


class _Properties(msgspec.Struct):
    field: str | None = msgspec.field(name="FieldReferenceName", default=None)
    rules: list[_Rule] | None = msgspec.field(name="RuleValidationErrors", default=None)


class _Body(msgspec.Struct, rename="camel"):
    type_key: str = ""
    custom_properties: _Properties | None = None


def problem_of(response: Response, names: Mapping[str, str]) -> Problem:
    """What an error answer says, whatever its shape. `names`: fields that were written, by their reference names, ->
    what Azure calls them in a sentence."""
    text = plain_words(response)
    try:
        body = msgspec.json.decode(response.content, type=_Body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        body = _Body()
    told = body.custom_properties or _Properties()
    fields = {told.field, *(rule.field_reference_name for rule in told.rules or ())} - {None}
    return Problem(text, body.type_key, frozenset(map(str, fields)) or _named(text, names))


def _named(text: str, names: Mapping[str, str]) -> frozenset[str]:
    """The fields a sentence names as Azure's do: `field State.`, `field 'Assigned To'`, or by reference name."""
    return frozenset(
        ref for ref, name in names.items() if ref in text or f"field {name}" in text or f"'{name}'" in text
    )
