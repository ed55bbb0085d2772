"""AI agents and the policies that bound them, as far as tasks need them: a token can belong to an agent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class AgentPolicy(Base):
    """POL-*: what an agent may use. `permitted_tools` holds tool names such as `scrums_tasks`."""

    __tablename__ = "agent_policy"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    permitted_tools: Mapped[list[Any]]
    rate_limit: Mapped[dict[str, Any]]
    require_approval_for: Mapped[list[Any]]
    output_filtering: Mapped[dict[str, Any]]
    data_access: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Agent(Base):
    """AGT-*: a configured execution unit under a policy. `tools` are those of the policy it was granted."""

    __tablename__ = "agent"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"), index=True)
    service_line_id: Mapped[str | None] = mapped_column(ForeignKey("service_line.id"))
    policy_id: Mapped[str] = mapped_column(ForeignKey("agent_policy.id"))
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    tools: Mapped[list[Any]]
    created_at: Mapped[datetime]
