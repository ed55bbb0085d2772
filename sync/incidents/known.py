"""What is known of refs: their incidents' rows, and the lines these are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import aliased

from connectors.contract import Alert, AlertRef
from core.bulk import among
from core.models import Incident, IncidentUpdate
from sync.incidents.timeline import Line, Story, What, timeline

Row = dict[str, Any]

TITLE_MOST, TEXT_MOST = 500, 10_000
"""Characters kept: a title is one line of a message, and a text what somebody reads; vendors put whole logs into it."""

SAID = ("at", "placed_at", "severity", "title", "text", "url", "by", "cycle", "tags")
"""What a line and its row have in common, as it is."""


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that was heard. `source` is the delivery or run that brought it; `placed_at` where it stands among the
    others, if that is not the alert's own time."""

    alert: Alert
    source: str
    placed_at: datetime | None = None


@dataclass(slots=True)
class Known:
    """What is known of one ref, and what is new. Line -> the incident it belonged to (`owner`) and belongs to (`home`);
    `new`: line -> what brought it."""

    key: str
    ref: AlertRef
    rows: dict[str, Row] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    home: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)

    def hear(self, line: Line, source: str) -> None:
        """Put a line to what is known."""
        if line.key not in self.lines:
            self.lines[line.key] = line
            self.new[line.key] = source

    def newest(self) -> datetime | None:
        """The vendor's time of the newest that was known before."""
        return max((row["watermark"] for row in self.rows.values()), default=None)

    def stories(self) -> list[tuple[str | None, Story]]:
        """The incidents that all of it makes, each with the row that it keeps: the oldest that has a line of it and is
        no earlier one's. None: it needs a row."""
        kept: set[str] = set()
        found: list[tuple[str | None, Story]] = []
        for story in timeline(self.lines.values()):
            owners = {self.owner[step.line.key] for step in story.steps if step.line.key in self.owner} - kept
            id_ = min(owners, default=None)
            kept |= {id_} if id_ else set()
            found.append((id_, story))
        return found


def ref_key(integration_id: str, ref: AlertRef) -> str:
    """By what all that is known of a ref is found; a scope may have more characters than a database indexes."""
    return f"{integration_id}:{_digest(ref.monitor, ref.scope)}"


def line_of(integration_id: str, flap_minutes: int, told: Told) -> Line:
    """The line that an alert is."""
    alert, placed_at = told.alert, told.placed_at or told.alert.at
    tags = {stored(name): [stored(value) for value in values] for name, values in (alert.tags or {}).items()}
    title, text = stored(alert.title, TITLE_MOST), stored(alert.text, TEXT_MOST)
    cycle = None if alert.cycle is None else stored(alert.cycle)
    said = (alert.state.value, alert.at.timestamp(), placed_at.timestamp(), cycle, alert.severity.value, title, text)
    digest = _digest(*map(repr, (*said, alert.url, sorted(tags.items()))))
    return Line(
        key=f"{ref_key(integration_id, alert.ref)}:{digest}",
        what=What(alert.state.value),
        at=alert.at,
        placed_at=placed_at,
        severity=alert.severity.value,
        title=title,
        text=text,
        url=stored(alert.url),
        by=integration_id,
        flap=timedelta(minutes=flap_minutes),
        cycle=cycle,
        tags=tags,
    )


def stored(text: str, most: int = TEXT_MOST) -> str:
    """As much of a vendor's text as is kept, without what a database can't store."""
    return text[:most].replace("\0", "").encode(errors="replace").decode()


def _digest(*texts: str) -> str:
    return blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def known(db: DbSession, refs: Mapping[str, AlertRef], since: datetime) -> dict[str, Known]:
    """What is known of the refs (by key), as far as lines since then may touch it: the incidents that reach so far, and
    of each ref the one before."""
    earlier = aliased(Incident)
    last = (
        select(func.max(earlier.watermark))
        .where(earlier.ref_key == Incident.ref_key, earlier.watermark < since, earlier.merged_into.is_(None))
        .scalar_subquery()
    )
    wanted = select(Incident.__table__).where(
        among(db, Incident.ref_key, list(refs)),
        Incident.merged_into.is_(None),
        or_(Incident.watermark >= since, Incident.watermark == last),
    )
    found = {key: Known(key, ref) for key, ref in refs.items()}
    rows = [dict(row) for row in db.execute(wanted).mappings()]
    lines = lines_of(db, rows)
    for row in rows:
        about = found[row["ref_key"]]
        about.rows[row["id"]] = row
        about.lines.update((line.key, line) for line in lines[row["id"]])
        about.owner.update((line.key, row["id"]) for line in lines[row["id"]])
        about.home = dict(about.owner)
    return found


def lines_of(db: DbSession, rows: Collection[Row]) -> dict[str, list[Line]]:
    """What the incidents are made of, by id."""
    flaps = {row["id"]: timedelta(minutes=row["flap_minutes"]) for row in rows}
    found: dict[str, list[Line]] = defaultdict(list)
    if flaps:
        wanted = select(IncidentUpdate.__table__).where(among(db, IncidentUpdate.incident_id, list(flaps)))
        for row in db.execute(wanted).mappings():
            said = {name: row[name] for name in SAID}
            line = Line(key=row["line_key"], what=What(row["what"]), flap=flaps[row["incident_id"]], **said)
            found[row["incident_id"]].append(line)
    return found


def line_rows(incident_id: str, lines: Sequence[tuple[Line, str]], now: datetime) -> list[Row]:
    """Rows of new lines of an incident, each with what brought it."""
    return [
        {
            "line_key": line.key,
            "incident_id": incident_id,
            "what": line.what.value,
            **{name: getattr(line, name) for name in SAID},
            "source": source,
            "told_at": now,
        }
        for line, source in lines
    ]
