"""Finding the people, workspaces and organizations that commands name."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.errors import Refused
from core.errors import NotFound
from core.models import Organization, User, Workspace

ENOUGH = 2
"""To know that there is not exactly one, it suffices to see two."""


def find_workspace(session: Session, workspace_id: str) -> Workspace:
    """The workspace. Raises NotFound."""
    found = session.get(Workspace, workspace_id)
    if found is None:
        raise NotFound(f"Workspace {workspace_id} not found.")
    return found


def find_organization(session: Session, organization_id: str) -> Organization:
    """The organization. Raises NotFound."""
    found = session.get(Organization, organization_id)
    if found is None:
        raise NotFound(f"Organization {organization_id} not found.")
    return found


def find_user(session: Session, organization_id: str, who: str) -> User:
    """The active user of the organization with this id or address. Raises NotFound."""
    found = session.scalar(
        select(User).where(
            User.organization_id == organization_id, User.active, (User.id == who) | (User.email == who.lower())
        )
    )
    if found is None:
        raise NotFound(f"{who} is not an active user of {organization_id}.")
    return found


def acting_user(session: Session, organization_id: str, who: str | None) -> User:
    """Who a change is recorded as: the named user, or the organization's only one."""
    if who is not None:
        return find_user(session, organization_id, who)
    everybody = select(User).where(User.organization_id == organization_id, User.active).limit(ENOUGH)
    users = session.scalars(everybody).all()
    if len(users) != 1:
        raise Refused(f"Say with --as who is doing this: the id or address of a user of {organization_id}.")
    return users[0]
