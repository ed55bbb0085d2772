"""The connector on the real engine: what only shows when both are at work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.github import GitHubConnector
from core.models import Integration, Workspace
from core.settings import OAuthApp
from sandbox.github import APP_ID, INSTALLATION
from simulation.bench import trial_of
from sync import integrations
from sync.runtime import Lane, Runtime
from sync.scheduler import tick
from sync.work import work


@pytest.fixture
def bench() -> Iterator[Any]:
    """One integration of the organization; see `simulation.bench`."""
    trial = trial_of(GitHubConnector)
    assert trial.open_bench is not None
    with trial.open_bench() as opened:
        yield opened


def with_our_app(rt: Runtime, private_key: str) -> Runtime:
    """A process that was started after the operator had set our App up."""
    app = OAuthApp(fields={"app_id": SecretStr(APP_ID), "private_key": SecretStr(private_key)})
    return replace(rt, settings=rt.settings.model_copy(update={"oauth_apps": {"github": app}}))


def test_an_installation_starts_by_itself_when_the_app_is_set_up_and_then_installed(bench: Any) -> None:
    rt, github = bench._stage.runtime, bench.vendor.sandbox.github_app
    installed = dict(github.installations)
    github.uninstall()
    with rt.db.read() as session:
        workspace = session.get_one(Workspace, bench.row().workspace_id)
    made = integrations.create(
        rt,
        workspace=workspace,
        actor=bench.person("ann"),
        token_id=None,
        type="github",
        name="Later",
        config={"organization": "apex-digital", "repositories": ["docs"]},
        credentials={"installation_id": INSTALLATION},
    )

    def seen(rt: Runtime) -> tuple[str, str]:
        bench.wait(900)
        rung: list[tuple[Lane, str]] = []
        tick(replace(rt, ring=lambda lane, id_: rung.append((lane, id_))))
        if (Lane.PULL, made.id) in rung:
            work(rt, Lane.PULL, made.id)
        with rt.db.read() as session:
            row: Any = session.get_one(Integration, made.id)
            return row.status, row.status_text or ""

    status, why = seen(rt)
    assert (status, "has not set up our GitHub App" in why) == ("pending_auth", True)
    ours = with_our_app(rt, github.private_key)
    status, why = seen(ours)
    assert (status, "install the App in the organization" in why) == ("pending_auth", True)
    github.installations.update(installed)
    assert seen(ours) == ("active", "")
