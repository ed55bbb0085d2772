"""SonarCloud's deliveries: is one to be believed, and what it says. Pure. They are never sent again: polling must be
enough."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors.contract import (
    BadSignature,
    GateHeard,
    Ignored,
    MeasureHint,
    RawDelivery,
    Reply,
    Secrets,
    Signal,
    Verified,
    WebhookFacts,
)
from connectors.envelope import digest_of, json_object, text_at
from connectors.hooks import read
from connectors.signing import hmac_hex
from connectors.sonarcloud.config import SonarCloudConfig
from connectors.sonarcloud.mapping import FAILED_TASKS, Condition, Place, failure, gate
from connectors.times import moment

WEBHOOKS = WebhookFacts(accepted=200, max_body=1024 * 1024, headers_kept=("x-sonarqube-project",))

EVENT = "analysis"
"""There is one kind of delivery."""

NO_BRANCH = "Servers of old name no branch: polls tell how it stands."


class _Project(msgspec.Struct):
    key: str
    name: str = ""


class _Branch(msgspec.Struct, rename="camel"):
    name: str
    type: str = ""
    is_main: bool = False


class _Gate(msgspec.Struct):
    status: str
    conditions: list[Condition] = []


class _Body(msgspec.Struct, rename="camel"):
    status: str
    changed_at: str
    project: _Project
    server_url: str = ""
    task_id: str | None = None
    analysed_at: str | None = None
    branch: _Branch | None = None
    quality_gate: _Gate | None = None


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature, and that header and body name one project. Raises BadSignature."""
    headers = delivery.headers
    hmac_hex(delivery.body, headers.get("x-sonar-webhook-hmac-sha256"), secrets.get("signing", ()))
    body = json_object(delivery.body)
    project = text_at(body, "project", "key")
    if headers.get("x-sonarqube-project", project) != project:
        raise BadSignature("the header names another project than the body")
    # An analysis that two hooks tell of is one; without a task it was an issue's change that moved the gate.
    key = digest_of(
        text_at(body, "serverUrl"),
        project,
        text_at(body, "branch", "name"),
        text_at(body, "taskId") or text_at(body, "changedAt"),
        text_at(body, "qualityGate", "status"),
    )
    return Verified(key, EVENT)


def parse(delivery: RawDelivery, config: SonarCloudConfig) -> Sequence[Signal]:
    """How a branch stands with its gate, and that its project is to be measured anew. Raises BadPayload."""
    body = read(delivery, _Body, "SonarCloud")
    branch = body.branch
    if not config.follows_project(body.project.key):
        return [Ignored("other_project", body.project.key)]
    if branch is None:
        measured = body.status == "SUCCESS"
        return [MeasureHint(body.project.key)] if measured else [Ignored("no_branch", NO_BRANCH)]
    if branch.type == "PULL_REQUEST":
        return [Ignored("pull_request", branch.name)]
    if not config.follows_branch(branch.name, branch.is_main):
        return [Ignored("other_branch", branch.name)]
    return _told(body, branch)


def _told(body: _Body, branch: _Branch) -> Sequence[Signal]:
    project = body.project
    place = Place(body.server_url.rstrip("/"), project.key, project.name or project.key, branch.name, branch.is_main)
    if body.status in FAILED_TASKS:
        return [GateHeard(failure(place, moment(body.changed_at)))]
    if body.status != "SUCCESS":
        return [Ignored("unsupported", body.status)]
    hint = MeasureHint(project.key)
    if body.quality_gate is None:
        return [hint]
    # What a poll tells is as of the analysis. Where there was none, an issue's change has moved the gate since.
    analysed = body.analysed_at if body.task_id else None
    at = moment(analysed or body.changed_at)
    return [GateHeard(gate(place, body.quality_gate.status, at, body.quality_gate.conditions)), hint]


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """SonarCloud has none."""
    return None
