"""SonarCloud's deliveries: is one to be believed. Pure. They are never sent again: polling must be enough."""

from __future__ import annotations

from connectors.contract import BadSignature, RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import digest_of, json_object, text_at
from connectors.signing import hmac_hex

WEBHOOKS = WebhookFacts(accepted=200, max_body=1024 * 1024, headers_kept=("x-sonarqube-project",))

EVENT = "analysis"
"""There is one kind of delivery."""


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


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """SonarCloud has none."""
    return None
