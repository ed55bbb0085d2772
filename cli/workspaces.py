"""`turnbuckle workspace`: where work happens, and what has to be there first."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, print_fields, print_json
from cli.tenants import find_organization
from core import events
from core.models import Organization, User
from core.workspaces import (
    WorkspaceSettings,
    create_organization,
    create_project,
    create_service_line,
    create_user,
    create_workspace,
)
from sync.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="Workspaces.")


@app.callback()
def _group() -> None:
    """Makes `create` a subcommand although it is the only one."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the workspace.")],
    organization: Annotated[str, typer.Option(help="ORG-* of an existing organization, or the name of a new one.")],
    user: Annotated[
        list[str] | None, typer.Option(help="A person: 'Ann Archer <ann@example.com>'; repeatable.")
    ] = None,
    service_line: Annotated[list[str] | None, typer.Option(help="Name of a service line; repeatable.")] = None,
    project: Annotated[list[str] | None, typer.Option(help="Name of a project label; repeatable.")] = None,
    optional_service_line: Annotated[
        bool, typer.Option("--optional-service-line", help="Tasks may be without a service line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a workspace with its organization, people, service lines and project labels; print the ids."""
    people = [_person(text) for text in user or ()]
    with open_runtime() as runtime, runtime.db.write() as session:
        now = runtime.clock()
        owner = _owner(session, organization, runtime)
        settings = WorkspaceSettings(require_task_service_line=not optional_service_line)
        made = create_workspace(session, owner.id, name, now, settings)
        users = [create_user(session, owner.id, person, email, now) for person, email in people]
        lines = [create_service_line(session, made.id, line, now) for line in service_line or ()]
        labels = [create_project(session, owner.id, label, now) for label in project or ()]
        _audit(session, runtime, made.organization_id, made.id, users)
    answer = {
        "organization_id": owner.id,
        "workspace_id": made.id,
        "user_ids": [each.id for each in users],
        "service_line_ids": [each.id for each in lines],
        "project_ids": [each.id for each in labels],
    }
    if as_json:
        print_json(answer)
    else:
        print_fields({key: " ".join(value) if isinstance(value, list) else value for key, value in answer.items()})


def _person(text: str) -> tuple[str, str]:
    """Name and address of `Ann Archer <ann@example.com>`, or of an address alone."""
    name, email = parseaddr(text)
    if "@" not in email.strip("@"):
        raise Refused(f"--user {text!r} has no address; write it as 'Ann Archer <ann@example.com>'.")
    return name or email.partition("@")[0], email


def _owner(session: Session, organization: str, runtime: Runtime) -> Organization:
    if organization.startswith("ORG-"):
        return find_organization(session, organization)
    return create_organization(session, organization, runtime.clock())


def _audit(session: Session, runtime: Runtime, organization_id: str, workspace_id: str, users: list[User]) -> None:
    """Recorded as done by the first person made with it; where there is nobody, the workspace stands for itself."""
    events.audit(
        session,
        organization_id=organization_id,
        workspace_id=workspace_id,
        actor=users[0].id if users else workspace_id,
        action="workspace.created",
        subject_id=workspace_id,
        now=runtime.clock(),
    )
