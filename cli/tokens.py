"""`turnbuckle token`: bearer tokens for the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, note, print_json
from cli.tenants import find_user, find_workspace
from core import access, events
from core.clock import iso
from core.errors import NotFound
from core.models import Agent

app = typer.Typer(no_args_is_help=True, help="Bearer tokens for the API.")


@app.callback()
def _group() -> None:
    """Makes `create` a subcommand although it is the only one."""


@app.command()
def create(
    workspace: Annotated[str, typer.Option(help="WS-*: whose organization the token is of.")],
    user: Annotated[str | None, typer.Option(help="USR-* or address of the person it speaks for.")] = None,
    agent: Annotated[str | None, typer.Option(help="AGT-*: the agent it speaks for.")] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; repeat for several. All by default.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends; never by default.")] = None,
    whole_organization: Annotated[
        bool, typer.Option("--whole-organization", help="Not narrowed to the workspace.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a token. Its text is shown once and can't be had again."""
    if user and agent:
        raise Refused("A token speaks for a user or for an agent, not for both.")
    unknown = sorted(set(scope or ()) - set(access.SCOPES))
    if unknown:
        raise Refused(f"Unknown scope {', '.join(unknown)}; there are {', '.join(access.SCOPES)}.")
    with open_runtime() as runtime, runtime.db.write() as session:
        now = runtime.clock()
        home = find_workspace(session, workspace)
        person = find_user(session, home.organization_id, user) if user else None
        if (
            agent is not None
            and (found := session.get(Agent, agent), found is None or found.workspace_id != home.id)[1]
        ):
            raise NotFound(f"Agent {agent} not found.")
        token, plain = access.issue_token(
            session,
            now=now,
            organization_id=home.organization_id,
            name=name,
            workspace_id=None if whole_organization else home.id,
            user_id=person.id if person else None,
            agent_id=agent,
            scopes=scope or access.SCOPES,
            expires_at=now + timedelta(days=days) if days else None,
        )
        session.flush()
        events.audit(
            session,
            organization_id=home.organization_id,
            workspace_id=token.workspace_id,
            actor=token.user_id or token.agent_id or token.id,
            action="token.created",
            subject_id=token.id,
            now=now,
            data={"name": name, "scopes": token.scopes},
        )
    if as_json:
        print_json(
            {
                "id": token.id,
                "token": plain,
                "organization_id": token.organization_id,
                "workspace_id": token.workspace_id,
                "user_id": token.user_id,
                "agent_id": token.agent_id,
                "scopes": token.scopes,
                "expires_at": iso(token.expires_at),
            }
        )
        return
    note(f"{token.id}, for {token.user_id or token.agent_id or 'nobody in particular'}. It is shown only now:")
    typer.echo(plain)


def _check_agent(session: Session, agent_id: str, workspace_id: str) -> None:
    found = session.get(Agent, agent_id)
    if found is None or found.workspace_id != workspace_id:
        raise NotFound(f"Agent {agent_id} not found.")
