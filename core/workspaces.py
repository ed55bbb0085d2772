"""Organizations, workspaces and what is in them: made by the CLI and the demo, read by everything else."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from core import ids
from core.models import Organization, ProjectLabel, ServiceLine, User, Workspace


class WorkspaceSettings(BaseModel):
    """What a workspace can set. Unknown keys are kept out, so that a typo is not a silent default."""

    model_config = ConfigDict(extra="forbid")

    require_task_service_line: bool = True


def settings_of(workspace: Workspace) -> WorkspaceSettings:
    """The workspace's settings with defaults filled in."""
    return WorkspaceSettings.model_validate(workspace.settings)


def create_organization(session: Session, name: str, now: datetime) -> Organization:
    """A new tenant."""
    organization = Organization(id=ids.take_one(session, "ORG", now), name=name, created_at=now)
    session.add(organization)
    session.flush()
    return organization


def create_workspace(
    session: Session, organization_id: str, name: str, now: datetime, settings: WorkspaceSettings | None = None
) -> Workspace:
    """A new workspace of the organization."""
    workspace = Workspace(
        id=ids.take_one(session, "WS", now),
        organization_id=organization_id,
        name=name,
        settings=(settings or WorkspaceSettings()).model_dump(),
        created_at=now,
    )
    session.add(workspace)
    session.flush()
    return workspace


def create_service_line(session: Session, workspace_id: str, name: str, now: datetime) -> ServiceLine:
    """A new, active service line."""
    line = ServiceLine(
        id=ids.take_one(session, "LIN", now), workspace_id=workspace_id, name=name, status="active", created_at=now
    )
    session.add(line)
    session.flush()
    return line


def create_project(session: Session, organization_id: str, name: str, now: datetime) -> ProjectLabel:
    """A new project label."""
    label = ProjectLabel(
        id=ids.take_one(session, "PROJ", now), organization_id=organization_id, name=name, created_at=now
    )
    session.add(label)
    session.flush()
    return label


def create_user(session: Session, organization_id: str, name: str, email: str, now: datetime) -> User:
    """A new person. The address is kept in lower case: vendors don't agree on letter case."""
    user = User(
        id=ids.take_one(session, "USR", now),
        organization_id=organization_id,
        name=name,
        email=email.strip().lower(),
        active=True,
        created_at=now,
    )
    session.add(user)
    session.flush()
    return user
