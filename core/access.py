"""Tokens, and what their bearers may see and do.

A token is scoped to an organization and optionally narrowed to one workspace. What is out of scope does not exist
(404); what is in scope but not permitted is forbidden (403). Only a digest of a token is kept: it has 256 random
bits, so a plain SHA-256 can't be guessed back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ids
from core.errors import Forbidden, NotFound, Unauthorized
from core.models import Agent, AgentPolicy, ApiToken, ServiceLine, User, Workspace

SCOPES = (
    "tasks:read",
    "tasks:write",
    "integrations:read",
    "integrations:write",
    "events:read",
    "audit:read",
    "webhooks:read",
    "webhooks:write",
    "notifications:read",
    "notifications:write",
    "incidents:read",
    "incidents:write",
)
"""All that a token can be allowed; a token without a list at creation gets them all."""

TOKEN_PREFIX = "tb_"  # noqa: S105 - not a secret
"""Makes a leaked token easy to recognise for secret scanners."""

TASK_TOOL = "scrums_tasks"
"""The tool name that an agent's policy must permit before the agent touches tasks."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `actor` is the USR-* or AGT-* that what they do is recorded as."""

    token_id: str
    organization_id: str
    workspace_id: str | None
    actor: str
    scopes: frozenset[str]
    tools: frozenset[str] | None = None  # an agent's, permitted by its policy and granted; None for people

    def require(self, scope: str) -> None:
        """Raises Forbidden when the token was not given this scope, or an agent's policy lacks the tool."""
        if scope not in self.scopes:
            raise Forbidden(f"This token lacks the scope {scope}.")
        if self.tools is not None and scope.startswith("tasks:") and TASK_TOOL not in self.tools:
            raise Forbidden(f"Agent {self.actor} may not use {TASK_TOOL}: its policy or its tool list lacks it.")


def issue_token(
    session: Session,
    *,
    now: datetime,
    organization_id: str,
    name: str,
    workspace_id: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    scopes: Sequence[str] = SCOPES,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown once and can't be had again."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise ValueError(f"unknown scopes {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    plain = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        id=ids.take_one(session, "KEY", now),
        digest=digest(plain),
        organization_id=organization_id,
        workspace_id=workspace_id,
        user_id=user_id,
        agent_id=agent_id,
        name=name,
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
    )
    session.add(token)
    return token, plain


def digest(plain: str) -> str:
    """The form in which a token, or any other high-entropy secret that is only compared, is kept."""
    return hashlib.sha256(plain.encode()).hexdigest()


def authenticate(session: Session, plain: str, now: datetime) -> Principal:
    """The principal behind a bearer token. Raises Unauthorized, with one text for every cause."""
    token = session.scalar(select(ApiToken).where(ApiToken.digest == digest(plain)))
    if token is None or token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
        raise Unauthorized("The bearer token is missing, unknown, expired or revoked.")
    if token.agent_id is not None:
        return _agent_principal(session, token)
    if token.user_id is not None:
        user = session.get(User, token.user_id)
        if user is None or not user.active:
            raise Unauthorized("The bearer token is missing, unknown, expired or revoked.")
    return Principal(
        token_id=token.id,
        organization_id=token.organization_id,
        workspace_id=token.workspace_id,
        actor=token.user_id or token.id,
        scopes=frozenset(token.scopes),
    )


def _agent_principal(session: Session, token: ApiToken) -> Principal:
    """An agent acts in its own workspace only, with the tools it was granted that its policy still permits."""
    found = session.execute(
        select(Agent, AgentPolicy)
        .join(AgentPolicy, Agent.policy_id == AgentPolicy.id)
        .where(Agent.id == token.agent_id)
    ).one_or_none()
    if found is None or found.Agent.status != "active":
        raise Unauthorized("The bearer token is missing, unknown, expired or revoked.")
    agent, policy = found
    permitted = set(policy.permitted_tools) if policy.status == "active" else set()
    return Principal(
        token_id=token.id,
        organization_id=token.organization_id,
        workspace_id=agent.workspace_id,
        actor=agent.id,
        scopes=frozenset(token.scopes),
        tools=frozenset(permitted & set(agent.tools)),
    )


def workspace(session: Session, principal: Principal, workspace_id: str) -> Workspace:
    """The workspace, if it is in scope. Raises NotFound."""
    found = session.get(Workspace, workspace_id)
    if found is None or not sees(principal, found):
        raise NotFound(f"Workspace {workspace_id} not found.")
    return found


def service_line(session: Session, principal: Principal, service_line_id: str) -> ServiceLine:
    """The service line, if its workspace is in scope. Raises NotFound."""
    found = session.get(ServiceLine, service_line_id)
    owner = session.get(Workspace, found.workspace_id) if found else None
    if found is None or owner is None or not sees(principal, owner):
        raise NotFound(f"Service Line {service_line_id} not found.")
    return found


def sees(principal: Principal, owner: Workspace) -> bool:
    """Whether a workspace is in the principal's scope."""
    if owner.organization_id != principal.organization_id:
        return False
    return principal.workspace_id in (None, owner.id)
