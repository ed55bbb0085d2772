"""Registering webhooks: dynamic ones (OAuth apps only) and an administrator's."""

from typing import Any

from sandbox.http import Reply
from sandbox.jira.api.ask import INVALID_PAYLOAD, Access, Ask, Row, done, page
from sandbox.jira.model import JiraError, Json
from sandbox.jira.times import millis
from sandbox.jira.webhooks import AdminWebhook
from sandbox.oauth import Grant


def _app(ask: Ask) -> Grant:
    """The OAuth grant of the caller. Raises JiraError 403: API tokens cannot register webhooks."""
    if ask.grant is None:
        raise JiraError(403, "The caller is not a Connect or OAuth 2.0 app.")
    return ask.grant


def register(ask: Ask) -> Reply:
    """POST /webhook: 200 even when single webhooks are refused."""
    grant, body = _app(ask), ask.body({"url": str, "webhooks": list})
    if not body.get("url") or not body.get("webhooks"):
        raise JiraError(400, "The url and at least one webhook are required.")
    result = ask.on.hub.register(grant.app, grant.account_id, body["url"], body["webhooks"])
    return Reply(200, {"webhookRegistrationResult": result})


def list_webhooks(ask: Ask) -> Reply:
    """GET /webhook."""
    grant = _app(ask)
    rows = []
    for hook in ask.on.hub.owned(grant.app, grant.account_id):
        row: Json = {
            "id": hook.id,
            "url": hook.url,
            "jqlFilter": hook.jql,
            "events": sorted(hook.events),
            "expirationDate": millis(hook.expires),
        }
        if hook.field_ids:
            row["fieldIdsFilter"] = sorted(hook.field_ids)
        if hook.property_keys:
            row["issuePropertyKeysFilter"] = sorted(hook.property_keys)
        rows.append(row)
    return Reply(200, page(ask, rows, default_size=100))


def _ids(ask: Ask) -> list[int]:
    ids: Any = ask.body({"webhookIds": list}).get("webhookIds")
    if not ids or not all(isinstance(i, int) for i in ids):
        raise JiraError(400, INVALID_PAYLOAD)
    return list(ids)


def refresh(ask: Ask) -> Reply:
    """PUT /webhook/refresh."""
    grant = _app(ask)
    expires = ask.on.hub.refresh(grant.app, grant.account_id, _ids(ask))
    return Reply(200, {"expirationDate": millis(expires)})


def remove(ask: Ask) -> Reply:
    """DELETE /webhook."""
    grant = _app(ask)
    ask.on.hub.remove(grant.app, grant.account_id, _ids(ask))
    return done(202)


def failed(_: Ask) -> Reply:
    """GET /webhook/failed: for Connect apps, which nobody here is."""
    raise JiraError(403, "The caller is not a Connect app.")


def _admin(ask: Ask) -> str:
    actor = ask.actor
    if not ask.site.users[actor].admin:
        raise JiraError(403, "You must have the Administer Jira global permission.")
    return actor


def _admin_row(ask: Ask, hook: AdminWebhook) -> Json:
    return {
        "self": f"{ask.base}/rest/webhooks/1.0/webhook/{hook.id}",
        "name": hook.name,
        "url": hook.url,
        "events": sorted(hook.events),
        "filters": {"issue-related-events-section": hook.jql},
        "excludeBody": hook.exclude_body,
        "enabled": hook.enabled,
        "isSigned": hook.secret is not None,
    }


def list_admin(ask: Ask) -> Reply:
    """GET /rest/webhooks/1.0/webhook."""
    _admin(ask)
    return Reply(200, [_admin_row(ask, hook) for hook in ask.on.hub.admin.values()])


def create_admin(ask: Ask) -> Reply:
    """POST /rest/webhooks/1.0/webhook: the secret is never shown again."""
    owner = _admin(ask)
    body = ask.body(
        {
            "name": str,
            "url": str,
            "events": list,
            "filters": dict,
            "secret": str,
            "enabled": bool,
            "excludeBody": bool,
            "description": str,
        }
    )
    if not body.get("name") or not body.get("url"):
        raise JiraError(400, "The name and the url are required.")
    hook = ask.on.hub.add_admin(
        owner,
        name=body["name"],
        url=body["url"],
        events=body.get("events", []),
        jql=body.get("filters", {}).get("issue-related-events-section", ""),
        secret=body.get("secret"),
        enabled=body.get("enabled", True),
        exclude_body=body.get("excludeBody", False),
    )
    return Reply(201, _admin_row(ask, hook))


def delete_admin(ask: Ask) -> Reply:
    """DELETE /rest/webhooks/1.0/webhook/{id}."""
    _admin(ask)
    if ask.on.hub.admin.pop(int(ask.call.params["id"]), None) is None:
        raise JiraError(404, "The webhook does not exist.")
    return done()


ROWS: tuple[Row, ...] = (
    ("registerDynamicWebhooks", "POST", "/webhook", Access.WEBHOOK, register),
    ("getDynamicWebhooksForApp", "GET", "/webhook", Access.WEBHOOK, list_webhooks),
    ("refreshWebhooks", "PUT", "/webhook/refresh", Access.WEBHOOK, refresh),
    ("deleteWebhookById", "DELETE", "/webhook", Access.WEBHOOK, remove),
    ("getFailedWebhooks", "GET", "/webhook/failed", Access.READ, failed),
)
_ADMIN = "/rest/webhooks/1.0/webhook"
# These are not below /rest/api/3.
ADMIN_ROWS: tuple[Row, ...] = (
    ("adminWebhook.list", "GET", _ADMIN, Access.READ, list_admin),
    ("adminWebhook.create", "POST", _ADMIN, Access.READ, create_admin),
    ("adminWebhook.delete", "DELETE", _ADMIN + "/{id:int}", Access.READ, delete_admin),
)
