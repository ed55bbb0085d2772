"""Who is who: people at a vendor and users here, matched by address and remembered per integration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connectors.contract import RemoteTask, RemoteUser
from core.bulk import among, insert_rows, update_rows
from core.models import Identity, Integration, User


@dataclass(frozen=True, slots=True)
class People:
    """The users behind the vendor's people of one page."""

    users: Mapping[str, str | None]

    def user(self, external_id: str) -> str | None:
        """The USR-* behind a vendor's person, None where nobody here is known to be them."""
        return self.users.get(external_id)

    @classmethod
    def load(
        cls, session: Session, integration_id: str, organization_id: str, items: Iterable[RemoteTask], now: datetime
    ) -> People:
        """Look up everybody the items name in one statement; meet the unknown in two or three more."""
        seen = {item.assignee.id: item.assignee for item in items if item.assignee is not None}
        if not seen:
            return cls({})
        met = session.execute(
            select(Identity.id, Identity.external_id, Identity.user_id).where(
                Identity.integration_id == integration_id, among(session, Identity.external_id, seen)
            )
        ).all()
        known = {row.external_id: row.id for row in met}
        users = {row.external_id: row.user_id for row in met}
        unmatched = [person for id_, person in seen.items() if users.get(id_) is None]
        if unmatched:
            users |= _meet(session, integration_id, organization_id, unmatched, known, now)
        return cls(users)

    @classmethod
    def look_up(
        cls, session: Session, integration_id: str, organization_id: str, items: Iterable[RemoteTask]
    ) -> People:
        """The same without remembering anybody: for a look that writes nothing."""
        seen = {item.assignee.id: item.assignee for item in items if item.assignee is not None}
        if not seen:
            return cls({})
        met = session.execute(
            select(Identity.external_id, Identity.user_id).where(
                Identity.integration_id == integration_id, among(session, Identity.external_id, seen)
            )
        )
        users = {row.external_id: row.user_id for row in met}
        unmatched = [person for id_, person in seen.items() if users.get(id_) is None]
        by_email = _users_by_email(session, organization_id, [p.email for p in unmatched if p.email])
        return cls(users | {person.id: by_email.get((person.email or "").lower()) for person in unmatched})


def _meet(
    session: Session,
    integration_id: str,
    organization_id: str,
    people: list[RemoteUser],
    known: Mapping[str, int],
    now: datetime,
) -> dict[str, str | None]:
    """Match people by address, remember those met for the first time, and link those who have become users since."""
    by_email = _users_by_email(session, organization_id, [p.email for p in people if p.email])
    found = {person.id: by_email.get((person.email or "").lower()) for person in people}
    fresh = [
        {
            "integration_id": integration_id,
            "external_id": person.id,
            "user_id": found[person.id],
            "name": person.name,
            "email": person.email,
            "updated_at": now,
        }
        for person in people
        if person.id not in known
    ]
    insert_rows(session, Identity.__table__, fresh)
    linked = [
        {"id": known[person.id], "user_id": found[person.id], "updated_at": now}
        for person in people
        if person.id in known and found[person.id] is not None
    ]
    if linked:
        update_rows(session, Identity.__table__, linked, key="id")
        _reread(session, integration_id, now)
    return found


def _users_by_email(session: Session, organization_id: str, emails: list[str]) -> dict[str, str]:
    if not emails:
        return {}
    wanted = {email.lower() for email in emails}
    rows = session.execute(
        select(User.email, User.id).where(
            User.organization_id == organization_id, User.active, among(session, User.email, wanted)
        )
    )
    return {row.email: row.id for row in rows}


def _reread(session: Session, integration_id: str, now: datetime) -> None:
    """Somebody's items mean something else now: look at every item once more, under a new mapping revision."""
    session.execute(
        update(Integration)
        .where(Integration.id == integration_id)
        .values(mapping_rev=Integration.mapping_rev + 1, cursor=None, next_pull_at=now)
        .execution_options(synchronize_session=False)
    )


def account_of(session: Session, integration_id: str, user_id: str) -> RemoteUser | None:
    """The vendor's person behind a user here, as far as they were met."""
    identity = session.scalar(
        select(Identity)
        .where(Identity.integration_id == integration_id, Identity.user_id == user_id)
        .order_by(Identity.id)
        .limit(1)
    )
    return RemoteUser(identity.external_id, identity.name, identity.email) if identity else None


def remember(session: Session, integration_id: str, user_id: str, person: RemoteUser, now: datetime) -> None:
    """Tie a user here to a vendor's person who was found by address."""
    known = session.scalar(
        select(Identity).where(Identity.integration_id == integration_id, Identity.external_id == person.id)
    )
    if known is not None:
        known.user_id = user_id
        known.updated_at = now
        return
    session.add(
        Identity(
            integration_id=integration_id,
            external_id=person.id,
            user_id=user_id,
            name=person.name,
            email=person.email,
            updated_at=now,
        )
    )


def user_of(session: Session, integration_id: str, external_id: str) -> str | None:
    """The user here behind a vendor's person, as far as they were met."""
    return session.scalar(
        select(Identity.user_id).where(Identity.integration_id == integration_id, Identity.external_id == external_id)
    )
