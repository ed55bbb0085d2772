"""What people may configure: config and credentials against the connector's models, mappings against the tenant.

Errors name the field's path and never repeat a credential's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from connectors.contract import Config, Connector, Credentials, TaskSyncConfig
from connectors.redaction import Redactor
from connectors.registry import Registry, UnknownType
from core.errors import Unprocessable
from core.models import ProjectLabel, ServiceLine, Workspace
from core.workspaces import settings_of
from sync.lint import contradictions, listed

SHORTEST_SECRET = 4
"""Shorter texts are no secrets, and replacing them would make an error unreadable."""


def connector_class(registry: Registry, type_: str) -> type[Connector]:
    """The connector of an integration type. Raises Unprocessable naming those there are."""
    try:
        return registry.get(type_)
    except UnknownType as unknown:
        raise Unprocessable(f"type: {unknown}") from None


def parse_config(connector: type[Connector], given: Mapping[str, Any]) -> Config:
    """The validated config. Raises Unprocessable with the path of everything that is wrong."""
    try:
        config = connector.manifest.config.model_validate(given)
    except ValidationError as error:
        raise Unprocessable(_listed("config", error)) from None
    if isinstance(config, TaskSyncConfig):
        wrong = list(contradictions(config))
        if wrong:
            raise Unprocessable(listed(wrong))
    return config


def stored_form(config: Config) -> dict[str, Any]:
    """The config as it is kept and shown: what was said, without the defaults."""
    return config.model_dump(mode="json", exclude_unset=True)


def parse_credentials(connector: type[Connector], given: Mapping[str, Any]) -> tuple[str, Credentials]:
    """The first credential mode that the values fit, and the values. Raises Unprocessable."""
    refusals: dict[str, ValidationError] = {}
    for mode, model in connector.manifest.credentials.items():
        try:
            return mode, model.model_validate(given)
        except ValidationError as error:
            refusals[mode] = error
    redactor = Redactor([text for text in _texts(given) if len(text) >= SHORTEST_SECRET])
    listed = {mode: _listed("credentials", refusal) for mode, refusal in refusals.items()}
    if len(listed) == 1:
        [text] = listed.values()
    else:
        ways = "; or ".join(f"{mode}: {problems}" for mode, problems in listed.items())
        text = f"credentials fit none of the ways to connect {connector.manifest.name}: {ways}"
    raise Unprocessable(redactor.redact(text))


def check_mappings(session: Session, workspace: Workspace, config: Config) -> None:
    """Mappings may only name the workspace's own service lines and its organization's projects."""
    if not isinstance(config, TaskSyncConfig):
        return
    for number, mapping in enumerate(config.projects):
        path = f"config.projects.{number}"
        if mapping.service_line_id is None and settings_of(workspace).require_task_service_line:
            raise Unprocessable(
                f"{path}.service_line_id: required, since workspace {workspace.id} wants a Service Line for every task "
                "(require_task_service_line)."
            )
        if mapping.service_line_id is not None:
            line = session.get(ServiceLine, mapping.service_line_id)
            if line is None or line.workspace_id != workspace.id:
                raise Unprocessable(
                    f"{path}.service_line_id: {mapping.service_line_id} is not a Service Line of workspace "
                    f"{workspace.id}."
                )
        if mapping.project_id is not None:
            label = session.get(ProjectLabel, mapping.project_id)
            if label is None or label.organization_id != workspace.organization_id:
                raise Unprocessable(f"{path}.project_id: {mapping.project_id} is not a Project of this organization.")


def _listed(root: str, error: ValidationError) -> str:
    """Every problem with the path of its field. The values themselves are left out."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join([root, *map(str, one['loc'])])}: {one['msg'].removeprefix('Value error, ')}" for one in found
    )


def _texts(value: Any) -> Iterable[str]:
    """Every text inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
