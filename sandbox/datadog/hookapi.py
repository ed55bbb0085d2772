"""The webhooks integration of a fake Datadog: webhooks by name, hidden variables, and notification rules."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Hooks
from sandbox.http import NO_BODY, Reply
from sandbox.paging import by_number
from sandbox.vendor import Ask, Endpoint

Json = dict[str, Any]

CONFIGURATION = "/api/v1/integration/webhooks/configuration"
RULES = "/api/v2/monitor/notification_rule"
MOST_RECIPIENTS = 20

DEFAULT_PAYLOAD = json.dumps(
    {
        "body": "$EVENT_MSG",
        "last_updated": "$LAST_UPDATED",
        "event_type": "$EVENT_TYPE",
        "title": "$EVENT_TITLE",
        "date": "$DATE",
        "org": {"id": "$ORG_ID", "name": "$ORG_NAME"},
        "id": "$ID",
    }
)


class HookApi:
    """The calls, and what they keep."""

    def __init__(self, hooks: Hooks, clock: Clock) -> None:
        self._hooks, self._clock = hooks, clock
        self._variables: dict[str, Json] = {}
        self._rules: dict[str, Json] = {}
        self._made = 0

    def endpoints(self) -> Sequence[Endpoint]:
        """Webhooks, variables, rules."""
        hooks, variables = CONFIGURATION + "/webhooks", CONFIGURATION + "/custom-variables"
        one, variable, rule = hooks + "/{name}", variables + "/{name}", RULES + "/{rule}"
        return [
            Endpoint("createWebhook", "POST", hooks, self._create),
            Endpoint("getWebhook", "GET", one, lambda ask: _json(self._hook(ask))),
            Endpoint("updateWebhook", "PUT", one, self._update),
            Endpoint("deleteWebhook", "DELETE", one, self._delete),
            Endpoint("createVariable", "POST", variables, self._create_variable),
            Endpoint("updateVariable", "PUT", variable, self._update_variable),
            Endpoint("deleteVariable", "DELETE", variable, self._delete_variable),
            Endpoint("listRules", "GET", RULES, self._list_rules),
            Endpoint("createRule", "POST", RULES, self._create_rule),
            Endpoint("updateRule", "PATCH", rule, self._update_rule),
            Endpoint("deleteRule", "DELETE", rule, self._delete_rule),
        ]

    def secrets(self) -> dict[str, str]:
        """The variables, for the headers that name them."""
        return {name: variable["value"] for name, variable in self._variables.items()}

    def recipients(self, tags: Iterable[str]) -> set[str]:
        """The webhooks that rules tell of what has these tags."""
        found = [rule for rule in self._rules.values() if _fits(rule["filter"], set(tags))]
        return {name.removeprefix("webhook-") for rule in found for name in rule["recipients"]}

    def rules_json(self) -> list[Json]:
        """The rules as the API tells them."""
        return [_rule_json(rule_id, rule) for rule_id, rule in self._rules.items()]

    # --- webhooks -----------------------------------------------------------------------------------

    def _hook(self, ask: Ask) -> Hook:
        found = self._named_hook(ask.params["name"])
        if found is None:
            raise VendorError(404, "Webhook not found")
        return found

    def _named_hook(self, name: str) -> Hook | None:
        return next((hook for hook in self._hooks.live() if hook.extra["name"] == name), None)

    def _create(self, ask: Ask) -> Reply:
        body = ask.json("name", "url")
        if self._named_hook(body["name"]) is not None:
            raise VendorError(400, "Webhook name already in use")
        _checked(body)
        return Reply(201, _json(self._hooks.register(body["url"], ask.user, extra=body)))

    def _update(self, ask: Ask) -> Json:
        hook, body = self._hook(ask), ask.json()
        _checked(body)
        told = {**hook.extra, **body}
        return _json(self._hooks.change(hook.id, url=told["url"], extra=told))

    def _delete(self, ask: Ask) -> Reply:
        self._hooks.remove(self._hook(ask).id)
        return Reply(200, NO_BODY)

    # --- variables ----------------------------------------------------------------------------------

    def _create_variable(self, ask: Ask) -> Reply:
        body = ask.json("name", "value")
        if body["name"] in self._variables:
            raise VendorError(400, "Custom variable already exists")
        self._variables[body["name"]] = body
        return Reply(201, _shown(body))

    def _update_variable(self, ask: Ask) -> Json:
        self._variables[self._named(ask)] |= ask.json()
        return _shown(self._variables[ask.params["name"]])

    def _delete_variable(self, ask: Ask) -> Reply:
        del self._variables[self._named(ask)]
        return Reply(200, NO_BODY)

    def _named(self, ask: Ask) -> str:
        if ask.params["name"] not in self._variables:
            raise VendorError(404, "Custom variable not found")
        return ask.params["name"]

    # --- rules --------------------------------------------------------------------------------------

    def _list_rules(self, ask: Ask) -> Json:
        page = by_number(self.rules_json(), ask.number("page", 0), ask.number("per_page", 100), first=0)
        return {"data": list(page.rows)}

    def _create_rule(self, ask: Ask) -> Json:
        told = _attributes(ask)
        if any(rule["filter"] == told["filter"] for rule in self._rules.values()):
            raise VendorError(409, "A notification rule for this scope exists already")
        self._made += 1
        rule_id = f"00000000-0000-1234-0000-{self._made:012d}"
        self._rules[rule_id] = told | {"created": self._clock.now().isoformat()}
        return {"data": _rule_json(rule_id, self._rules[rule_id])}

    def _update_rule(self, ask: Ask) -> Json:
        rule_id = self._rule(ask)
        self._rules[rule_id] |= _attributes(ask)
        return {"data": _rule_json(rule_id, self._rules[rule_id])}

    def _delete_rule(self, ask: Ask) -> Reply:
        del self._rules[self._rule(ask)]
        return Reply(204, NO_BODY)

    def _rule(self, ask: Ask) -> str:
        if ask.params["rule"] not in self._rules:
            raise VendorError(404, "Notification rule not found")
        return ask.params["rule"]


def _checked(body: Json) -> None:
    """Payload and headers are JSON in text."""
    for name in ("payload", "custom_headers"):
        try:
            json.loads(body.get(name) or "{}")
        except (TypeError, ValueError):
            raise VendorError(400, f"{name} must be valid JSON in a string") from None


def _attributes(ask: Ask) -> Json:
    told: Json = ask.json("data")["data"]["attributes"]
    if not told.get("recipients") or len(told["recipients"]) > MOST_RECIPIENTS:
        raise VendorError(400, f"A rule has 1 to {MOST_RECIPIENTS} recipients")
    if any(name.startswith("@") for name in told["recipients"]):
        raise VendorError(400, "Recipients have no @")
    return told


def _fits(filter_: Json, tags: set[str]) -> bool:
    wanted = filter_["scope"].split(" AND ") if "scope" in filter_ else filter_["tags"]
    return {tag.strip() for tag in wanted} <= tags


def _json(hook: Hook) -> Json:
    names = ("payload", "custom_headers", "encode_as")
    told = {name: hook.extra[name] for name in names if name in hook.extra}
    return {"name": hook.extra["name"], "url": hook.url, **told}


def _shown(variable: Json) -> Json:
    """A hidden one is never told."""
    hidden = {} if variable.get("is_secret") else {"value": variable["value"]}
    return {"name": variable["name"], "is_secret": bool(variable.get("is_secret")), **hidden}


def _rule_json(rule_id: str, rule: Json) -> Json:
    return {"id": rule_id, "type": "monitor-notification-rule", "attributes": dict(rule)}
