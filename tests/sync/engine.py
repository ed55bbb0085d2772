"""How the engine's tests see both sides: the tasks here, the toy vendor's items, and what lies between them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from core import tasks
from core.models import Binding, Delivery, Event, Integration, Task, TaskHistory
from core.tasks import NewTask
from simulation.toy import PRIORITIES, STATES, ToyVendor
from sync.inbound import drain
from sync.pull import pull
from sync.push import push
from sync.runtime import Runtime
from tests.sync.conftest import Tenant


class Both:
    """A tenant's tasks and the vendor's items of one integration."""

    def __init__(self, rt: Runtime, vendor: ToyVendor, tenant: Tenant, integration: Integration) -> None:
        self.rt, self.vendor, self.tenant, self.id = rt, vendor, tenant, integration.id

    # --- people here ---

    def create(self, title: str, **fields: Any) -> str:
        """A new task; returns its id."""
        context = {"service_line_id": self.tenant.line_id, "project_id": self.tenant.project_id}
        new = NewTask(self.tenant.workspace.id, title, **(context | fields))
        with self.rt.db.write() as session:
            return tasks.create(session, new, actor=self.tenant.ann_id, now=self.rt.clock()).task.id

    def change(self, task_id: str, **values: Any) -> None:
        """Change a task."""
        with self.rt.db.write() as session:
            tasks.change(session, task_id, values, actor=self.tenant.ann_id, now=self.rt.clock())

    # --- the engine ---

    def poll(self) -> Any:
        """A pull that is due now."""
        with self.rt.db.write() as session:
            session.get_one(Integration, self.id).next_pull_at = self.rt.clock()
        return pull(self.rt, self.id)

    def push(self) -> int:
        """Pay what is owed."""
        return push(self.rt, self.id)

    def deliver(self) -> int:
        """Put what the vendor sent into the inbox, as the front door would, and drain it."""
        with self.rt.db.write() as session:
            for number, (_url, raw) in enumerate(self.vendor.outbox):
                key = raw.headers.get("x-toy-delivery", str(number))
                session.add(
                    Delivery(
                        integration_id=self.id,
                        dedupe_key=f"{self.id}:{key}:{number}",
                        event="item.changed",
                        headers=dict(raw.headers),
                        body=raw.body,
                        received_at=self.rt.clock(),
                        state="pending",
                        attempts=0,
                        next_attempt_at=self.rt.clock(),
                    )
                )
        self.vendor.outbox.clear()
        return drain(self.rt, self.id)

    # --- what is there ---

    def rows(self, model: Any, *where: Any) -> list[Any]:
        """All rows of a model."""
        with self.rt.db.read() as session:
            return list(session.scalars(select(model).where(*where).order_by(*model.__table__.primary_key)))

    def task(self, title: str | None = None) -> Task:
        """The only task, or the one with this title."""
        (found,) = [task for task in self.rows(Task) if title in (None, task.title)]
        return found

    def binding(self) -> Binding:
        """The only binding."""
        (found,) = self.rows(Binding)
        return found

    def history(self, *kinds: str) -> list[TaskHistory]:
        """The history of all tasks, in order."""
        return [line for line in self.rows(TaskHistory) if not kinds or line.kind in kinds]

    def events(self) -> list[str]:
        """Types of all task events, in order."""
        return [event.type for event in self.rows(Event) if event.type.startswith("task.")]

    def calls(self, *names: str) -> int:
        """How often these operations were called at the vendor."""
        return sum(self.vendor.calls.count(name) for name in names)

    def assert_equal(self) -> None:
        """One item per task and one task per item, equal in every mapped field, nothing owed."""
        items, bindings = self.vendor.items, self.rows(Binding, Binding.state == "bound")
        assert {b.external_id for b in bindings} == set(items)
        assert not self.rows(Binding, Binding.owed)
        by_id = {task.id: task for task in self.rows(Task)}
        for binding in bindings:
            task, item = by_id[binding.task_id], items[binding.external_id]
            mine = (task.title, task.description, task.status, task.priority, task.external_id)
            theirs = (item.title, item.description, STATES[item.state], PRIORITIES[item.priority], item.key)
            assert mine == theirs
