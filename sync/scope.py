"""What an integration's items are reconciled under: whose they are, where they belong, who wins a conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from connectors.contract import RemoteTask, RemoteValue, Rule, TaskSyncConfig
from core.clock import epoch_ms
from core.models import Binding, Integration, Task
from core.tasks import COLUMNS
from sync.reconcile import Decision, Local, Remote, Rules, base_from_json, reconcile


@dataclass(frozen=True, slots=True)
class Scope:
    """The integration an application of items belongs to. `clock_offset` is the vendor's clock minus ours."""

    integration_id: str
    organization_id: str
    workspace_id: str
    type: str
    mapping_rev: int
    conflict: Mapping[str, Rule]
    contexts: Mapping[str, tuple[str | None, str | None]]
    clock_offset: timedelta = timedelta(0)

    @classmethod
    def of(cls, integration: Integration, config: TaskSyncConfig, clock_offset: timedelta) -> Scope:
        """The scope of an integration with this config."""
        return cls(
            integration_id=integration.id,
            organization_id=integration.organization_id,
            workspace_id=integration.workspace_id,
            type=integration.type,
            mapping_rev=integration.mapping_rev,
            conflict=config.conflict,
            # Where several mappings name one vendor project, the first says where its items belong here.
            contexts={p.external: (p.service_line_id, p.project_id) for p in reversed(config.projects)},
            clock_offset=clock_offset,
        )

    def key(self, external_id: str) -> str:
        """The binding key of an item."""
        return f"{self.integration_id}:{external_id}"


def decide(
    scope: Scope,
    binding: Binding,
    task: Task,
    item: RemoteTask,
    values: Mapping[str, RemoteValue],
    *,
    retried: bool = False,
) -> Decision:
    """The decision for one item and its task; used to act and to plan. `retried`: what the vendor refused before is to
    be tried once more."""
    remote_at = epoch_ms(item.updated_at - scope.clock_offset)
    refused = {} if retried else {name: refusal["value"] for name, refusal in binding.refused.items()}
    return reconcile(
        base_from_json(binding.base),
        local_of(task),
        Remote(values, item.version, remote_at),
        Rules(scope.conflict, refused, remapped=binding.mapping_rev != scope.mapping_rev),
        watermark=binding.watermark,
    )


def local_of(task: Task) -> Local:
    """The task's side of a reconcile."""
    return Local({name: getattr(task, column) for name, column in COLUMNS.items()}, task.changed_at)
