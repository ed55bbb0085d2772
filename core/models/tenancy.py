"""Who owns what: organizations own workspaces, workspaces own service lines; projects are labels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class Organization(Base):
    """ORG-*: the top-level tenant."""

    __tablename__ = "organization"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Workspace(Base):
    """WS-*: the operational unit. `settings`: see `core.workspaces.WorkspaceSettings`."""

    __tablename__ = "workspace"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ServiceLine(Base):
    """LIN-*: the delivery context that work belongs to."""

    __tablename__ = "service_line"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class ProjectLabel(Base):
    """PROJ-*: a tag across workspaces of one organization."""

    __tablename__ = "project_label"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class User(Base):
    """USR-*: a person. `email` is in lower case: it is how people at vendors are recognised."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("organization_id", "email"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
