"""Mappings judged when they are configured, not when the first item suffers. Pure.

`contradictions` needs the config alone; `judge` compares it with the words the vendor has. What can't be right is an
error and refused; what may be meant is a warning and shown with the integration.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from connectors.contract import TASK_FIELDS, Config, Priority, Status, TaskSyncConfig, VendorValue, Vocabulary
from connectors.words import folded, names

SHOWN = 12
"""Of a container's words, how many are named in a sentence; a project rarely has more statuses."""


class Finding(NamedTuple):
    """Something about one field of the config: its path, and what to do about it."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass
class Judgement:
    """What comes of comparing a config with the vendor's words."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Map:
    """One mapped field of a config, with the words of each container for it."""

    name: str
    read: Mapping[str, Any]
    written: Mapping[Any, str]
    told_apart: Sequence[Any]
    wanted: Sequence[str]
    containers: Mapping[str, Sequence[VendorValue]]

    def may_share(self, *values: Any) -> bool:
        return all(value in self.told_apart for value in values)

    def found(self, word: str) -> Iterator[tuple[str, VendorValue]]:
        """The vendor values a word stands for, with their container."""
        for container, values in self.containers.items():
            for value in values:
                if names(word, value.id, value.name):
                    yield container, value


def _maps(config: TaskSyncConfig, vocabularies: Sequence[Vocabulary] = ()) -> Iterator[_Map]:
    statuses = {vocabulary.container: vocabulary.statuses for vocabulary in vocabularies}
    yield _Map("status", config.status_map, config.status_out, config.told_apart, tuple(Status), statuses)
    priorities = {vocabulary.container: vocabulary.priorities for vocabulary in vocabularies}
    yield _Map("priority", config.priority_map, config.priority_out, (), tuple(Priority), priorities)


# --- the config alone ---------------------------------------------------------------------------------


def contradictions(config: TaskSyncConfig) -> Iterator[Finding]:
    """What is wrong whatever words the vendor has."""
    for name in config.conflict:
        if name not in TASK_FIELDS:
            yield Finding(f"config.conflict.{name}", f"not a shared field; those are {', '.join(TASK_FIELDS)}")
    for mapped in _maps(config):
        yield from _claimed_twice(mapped)
        yield from _unstable(mapped)
        yield from _written_alike(mapped)


def _claimed_twice(mapped: _Map) -> Iterator[Finding]:
    """One vendor value, spelt twice, must not mean two things."""
    seen: dict[str, Any] = {}
    for word, value in mapped.read.items():
        other = seen.setdefault(folded(word), value)
        if other != value:
            yield Finding(f"config.{mapped.name}_map.{word}", f"claimed twice, as {other} and as {value}; keep one")


def _unstable(mapped: _Map) -> Iterator[Finding]:
    """What we send for a value must be read back as that value."""
    back = {folded(word): value for word, value in mapped.read.items()}
    for ours, word in mapped.written.items():
        read = back.get(folded(word), ours)
        if read != ours:
            text = f"{word!r} is sent for {ours}, but config.{mapped.name}_map reads it back as {read}"
            yield Finding(f"config.{mapped.name}_out.{ours}", text)


def _written_alike(mapped: _Map) -> Iterator[Finding]:
    """Two of our values sent as one could not be told apart again."""
    taken: dict[str, Any] = {}
    for ours, word in mapped.written.items():
        other = taken.setdefault(folded(word), ours)
        if other != ours and not mapped.may_share(other, ours):
            text = f"{word!r} is sent for {other} too, and could not be told apart again"
            yield Finding(f"config.{mapped.name}_out.{ours}", text)


# --- against the vendor's words -----------------------------------------------------------------------


def judge(config: TaskSyncConfig, vocabularies: Sequence[Vocabulary]) -> Judgement:
    """Compare the maps with the words of every mapped container."""
    judgement = Judgement()
    for mapped in _maps(config, vocabularies):
        judgement.errors += [
            *_sent_into_the_void(mapped),
            *_read_back_otherwise(mapped),
            *_claimed_by_two_names(mapped),
        ]
        judgement.warnings += [*_without_effect(mapped), *_ambiguous(mapped), *_unreachable(mapped)]
    return judgement


def all_said(config: Config, vocabularies: Sequence[Vocabulary]) -> list[Finding]:
    """All that is wrong with the mappings, to be shown: what the vendor confirmed must not be lost for it."""
    if not isinstance(config, TaskSyncConfig):
        return []
    judgement = judge(config, vocabularies)
    return [*judgement.errors, *judgement.warnings]


def _sent_into_the_void(mapped: _Map) -> Iterator[Finding]:
    for ours, word in mapped.written.items():
        if not any(mapped.found(word)):
            text = f"no mapped container has a {mapped.name} {word!r}; {_there_are(mapped)}"
            yield Finding(f"config.{mapped.name}_out.{ours}", text)


def _read_back_otherwise(mapped: _Map) -> Iterator[Finding]:
    for ours, word in mapped.written.items():
        for container, value in mapped.found(word):
            if value.here != ours and not mapped.may_share(value.here, ours):
                text = f"{word!r} is sent for {ours}, but in {container} it is read back as {value.here}"
                yield Finding(f"config.{mapped.name}_out.{ours}", text)


def _claimed_by_two_names(mapped: _Map) -> Iterator[Finding]:
    """A value named by its id in one line and by its name in another, with two meanings."""
    claims: dict[tuple[str, str], tuple[str, Any]] = {}
    for word, meaning in mapped.read.items():
        for container, value in mapped.found(word):
            other, before = claims.setdefault((container, value.id), (word, meaning))
            if before != meaning:
                text = f"{value.name!r} of {container} is claimed twice: {other!r} makes it {before}"
                yield Finding(f"config.{mapped.name}_map.{word}", text)


def _without_effect(mapped: _Map) -> Iterator[Finding]:
    for word in mapped.read:
        if not any(mapped.found(word)):
            text = f"no mapped container has a {mapped.name} {word!r}, so this line does nothing; {_there_are(mapped)}"
            yield Finding(f"config.{mapped.name}_map.{word}", text)


def _ambiguous(mapped: _Map) -> Iterator[Finding]:
    """Two values of one name in one container: a line that names them can't say which."""
    for ours, word in mapped.written.items():
        ids: dict[str, list[str]] = defaultdict(list)
        for container, value in mapped.found(word):
            ids[container].append(value.id)
        for container, found in ids.items():
            if len(found) > 1:
                text = f"{container} has {len(found)} values called {word!r}; name one by its id ({', '.join(found)})"
                yield Finding(f"config.{mapped.name}_out.{ours}", text)


def _unreachable(mapped: _Map) -> Iterator[Finding]:
    """A value of ours that no word of a container means: a task set to it can't be written there."""
    for container, values in mapped.containers.items():
        meant = {value.here for value in values}
        for ours in mapped.wanted:
            shared = any(mapped.may_share(ours, other) for other in meant)
            if ours not in meant and not shared:
                text = (
                    f"no {mapped.name} of {container} means {ours}, so it can't be written there: name one here, or in "
                    f"config.{mapped.name}_map; {_there_are(mapped, container)}"
                )
                yield Finding(f"config.{mapped.name}_out.{ours}", text)


_CANT_BE_RIGHT = (_sent_into_the_void, _read_back_otherwise, _claimed_by_two_names)
_MAY_NOT_BE_MEANT = (_without_effect, _ambiguous, _unreachable)


def _there_are(mapped: _Map, container: str | None = None) -> str:
    chosen = mapped.containers.values() if container is None else [mapped.containers[container]]
    known = list(dict.fromkeys(value.name for values in chosen for value in values))
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"there are: {', '.join(known[:SHOWN]) or 'none'}{more}"


def listed(findings: Iterable[Finding]) -> str:
    """Findings as one sentence for an error."""
    return "; ".join(map(str, findings))


def as_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Findings as they are stored and shown."""
    return [finding._asdict() for finding in findings]
