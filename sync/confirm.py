"""Integrations that wait for their vendor's word, as for an app that is still to be installed: it is asked again.

Asked at once and then ever more rarely, as after failures. Where a person has to consent first nothing is asked: their
coming back starts the integration (see `oauth`).
"""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from connectors.contract import Config, ConnectorError, RateLimited, Transient
from core.errors import PlatformError
from core.models import Integration
from core.vault import VaultError
from sync import lifecycle
from sync.configuration import connector_class, parse_config
from sync.contained import contained
from sync.credentials import Checked, Opened, ask, learn, load, save
from sync.failures import Fault, backoff
from sync.leases import Lease, LeaseLost, hold
from sync.lint import all_said, as_json
from sync.pull import Unusable
from sync.runtime import Runtime

log = structlog.get_logger()


def confirm(rt: Runtime, integration_id: str) -> None:
    """Ask the vendor of an integration that waits for it, if that is due, and start what it confirms. What it says
    instead is written down, not raised; a fault of the connector is both."""
    if not _due(rt, integration_id):
        return
    with hold(rt, f"pull:{integration_id}") as lease:
        if lease is None:
            return
        try:
            waiting = _claim(rt, lease, integration_id)
            if waiting is not None:
                _work(rt, lease, waiting)
        except LeaseLost:
            log.warning("confirm.lease_lost", integration_id=integration_id)


def _work(rt: Runtime, lease: Lease, waiting: Integration) -> None:
    try:
        _ask(rt, lease, waiting)
    except (LeaseLost, DBAPIError):
        raise
    except ConnectorError as error:
        _note(rt, lease, waiting, error)
    except (PlatformError, VaultError) as error:
        _note(rt, lease, waiting, Unusable(str(error)))
    except Exception as error:  # a broken plugin is not ours to hide, nor to wait for without a word
        _note(rt, lease, waiting, Fault(error))
        raise


def _due(rt: Runtime, integration_id: str) -> bool:
    waits = select(Integration.id).where(
        Integration.id == integration_id, Integration.status == "pending_auth", Integration.next_pull_at <= rt.clock()
    )
    with rt.db.read() as session:
        return session.scalar(waits) is not None


def _claim(rt: Runtime, lease: Lease, integration_id: str) -> Integration | None:
    """The integration, if it still waits. It is counted before the vendor is asked: whoever dies asks no sooner."""
    now = rt.clock()
    with rt.db.write() as session:
        lease.guard(session)
        row = lifecycle.locked(session, integration_id)
        if row.status != "pending_auth" or row.next_pull_at is None or row.next_pull_at > now:
            return None
        row.pull_failures += 1
        row.next_pull_at = now + backoff(row.pull_failures)
        return row


def _ask(rt: Runtime, lease: Lease, waiting: Integration) -> None:
    with rt.db.read() as session:
        opened = load(rt, session, waiting)
    connector = connector_class(rt.registry, waiting.type)
    config = parse_config(connector, waiting.config)
    with contained():
        checked = ask(rt, connector, config, opened.mode, opened.values)
    _start(rt, lease, waiting, opened, config, checked)


def _start(rt: Runtime, lease: Lease, before: Integration, opened: Opened, config: Config, checked: Checked) -> None:
    """Start what was confirmed, unless somebody has changed it meanwhile: then that is asked about next."""
    values = learn(opened.values, checked.account)
    with rt.db.write() as session:
        lease.guard(session)
        row = lifecycle.locked(session, before.id)
        if row.status != "pending_auth" or row.config != before.config:
            return
        if load(rt, session, row).version != opened.version:
            return
        model = connector_class(rt.registry, row.type).manifest.credentials[opened.mode].model_validate(values)
        save(rt, session, row.id, opened.mode, values, model)
        row.config_warnings = as_json(all_said(config, checked.vocabularies))
        lifecycle.activate(session, row, checked.account, row.id, rt)
        row.updated_at = rt.clock()


def _note(rt: Runtime, lease: Lease, waiting: Integration, error: ConnectorError) -> None:
    """Why it still waits. Of a vendor that can't be asked now nothing is learnt but when to come back."""
    log.info("confirm.waits", integration_id=waiting.id, code=error.code, text=error.text)
    with rt.db.write() as session:
        lease.guard(session)
        row = lifecycle.locked(session, waiting.id)
        if row.status != "pending_auth" or row.next_pull_at is None:
            return
        if isinstance(error, RateLimited):
            row.next_pull_at = max(row.next_pull_at, error.until)
        elif not isinstance(error, Transient):
            row.status_code, row.status_text = error.code, error.text
