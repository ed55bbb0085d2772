"""The webhook in Datadog's webhooks integration: a payload of ours, a header with our secret, and who tells it."""

from __future__ import annotations

import json

from pydantic import SecretStr

from connectors.contract import Forbidden, JsonObject, NotFound, Subscription
from connectors.datadog.client import HOOKS, NOTIFICATIONS, VARIABLES, DatadogClient, Rule
from connectors.datadog.config import DatadogConfig
from connectors.datadog.webhook import TEMPLATE
from connectors.envelope import digest_of

HEADER = "X-Turnbuckle-Token"

MOST_RECIPIENTS = 20
"""Of one notification rule."""

BY_HAND = (
    "Without an application key no webhook can be registered: add one with the permission create_webhooks, or register "
    "the webhook by hand as README.md says."
)


class HookKeeper:
    """Registers the webhook for an address, and takes it away again."""

    def __init__(self, client: DatadogClient, config: DatadogConfig) -> None:
        self._client, self._route = client, config.route

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """Register, or set right what is registered for the address. The secret is kept where nobody can read it."""
        name, variable = _names(url)
        self._client.put_variable(variable, secret.get_secret_value())
        self._client.put_hook(_fields(url))
        made = [f"{HOOKS}/{name}", f"{VARIABLES}/{variable}"]
        if self._route is not None:
            made.append(f"{NOTIFICATIONS}/{self._tell(name, self._route)}#{name}")
        return Subscription(tuple(made))

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """None where somebody deleted or changed it."""
        hook, wanted = self._client.hook(_names(url)[0]), _fields(url)
        if hook is None or any(getattr(hook, field) != wanted[field] for field in ("url", "payload", "custom_headers")):
            return None
        told = [one for one in subscription.external_ids if one.startswith(NOTIFICATIONS)]
        return subscription if all(self._rule(one) for one in told) else None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove all of it, the rule first: nothing is to be told to what is not there."""
        for made in reversed(subscription.external_ids):
            path, _, name = made.partition("#")
            if path.startswith(NOTIFICATIONS):
                self._tell_no_more(path, f"webhook-{name}")
            else:
                self._client.remove(path)

    # --- who tells it -------------------------------------------------------------------------------

    def _tell(self, name: str, scope: str) -> str:
        """There may be one rule for a scope: where there is one already, the webhook is added to it."""
        filter_, ours = {"scope": scope}, f"webhook-{name}"
        for rule in self._client.rules():
            if rule.attributes.filter == filter_:
                if ours not in rule.attributes.recipients:
                    self._client.put_rule(rule.id, _told(rule, [*rule.attributes.recipients, ours]))
                return rule.id
        return self._client.put_rule(None, {"name": "Turnbuckle", "filter": filter_, "recipients": [ours]})

    def _rule(self, made: str) -> Rule | None:
        path, _, name = made.partition("#")
        rules = (rule for rule in self._client.rules() if path.endswith(f"/{rule.id}"))
        return next((rule for rule in rules if f"webhook-{name}" in rule.attributes.recipients), None)

    def _tell_no_more(self, path: str, ours: str) -> None:
        """A rule that tells others, too, goes on without the webhook."""
        rule = self._rule(f"{path}#{ours.removeprefix('webhook-')}")
        if rule is None:
            return
        left = [one for one in rule.attributes.recipients if one != ours]
        try:
            if left:
                self._client.put_rule(rule.id, _told(rule, left))
            else:
                self._client.remove(path)
        except NotFound:
            return


class NoHooks:
    """For an API key alone."""

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """Raises Forbidden."""
        raise Forbidden(BY_HAND)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Raises Forbidden: whether it is there can't be seen any more."""
        raise Forbidden(BY_HAND)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Raises Forbidden where something was registered with another key."""
        if subscription.external_ids:
            raise Forbidden(BY_HAND)


def _names(url: str) -> tuple[str, str]:
    """What the webhook and the variable with its secret are called: always the same for one address."""
    mark = (digest_of(url) or "")[:12]
    return f"turnbuckle-{mark}", f"TURNBUCKLE_{mark.upper()}"


def _fields(url: str) -> JsonObject:
    name, variable = _names(url)
    return {
        "name": name,
        "url": url,
        "payload": json.dumps(TEMPLATE),
        "custom_headers": json.dumps({HEADER: f"${variable}"}),
        "encode_as": "json",
    }


def _told(rule: Rule, recipients: list[str]) -> JsonObject:
    if len(recipients) > MOST_RECIPIENTS:
        raise Forbidden(f"The notification rule {rule.attributes.name!r} tells {MOST_RECIPIENTS} already; remove one.")
    return {"name": rule.attributes.name, "filter": rule.attributes.filter, "recipients": recipients}
