"""The connector alone: `code_events` to its end, through our client, with a budget nobody keeps. Nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.code.job import Job, Phase, work
from connectors.contract import CodePage
from connectors.http import Transport, Unlimited
from core import logs
from core.models import Integration
from sync.configuration import connector_class, parse_config
from sync.credentials import build, load
from sync.runtime import settle


def contest(job: Job) -> list[Phase]:
    """The whole history."""
    logs.set_up(as_json=True)
    pages = pages_of(job)
    settle()
    with job.phase("backfill") as phase:
        phase.found["pages"] = 0
        for page in pages:
            phase.events += len(page.events)
            phase.found["pages"] += 1
    return [phase]


def pages_of(job: Job, transport: Transport | None = None) -> Iterator[CodePage]:
    """What the connector gives of the history, asked for as it is taken."""
    rt = job.runtime()
    rt = replace(rt, transport=transport or rt.transport)
    with rt.db.read() as session:
        integration = session.get_one(Integration, job.integration_id)
        opened = load(rt, session, integration)
    connector = connector_class(rt.registry, integration.type)
    config = parse_config(connector, integration.config)
    source = build(rt, connector, config, opened.mode, opened.values, Unlimited()).connector
    pages: Iterator[CodePage] = source.code_events(job.remote(), None)
    return pages


if __name__ == "__main__":
    work(contest)
