"""The REST application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import (
    conflicts,
    connectors,
    deliveries,
    diagnostics,
    errors,
    events,
    examples,
    health,
    incidents,
    integrations,
    measures,
    notifications,
    oauth,
    repositories,
    tasks,
    webhooks,
)
from api.meters import Meters
from api.middleware import BodyGuard, Surround
from sync.runtime import Runtime

DESCRIPTION = """
Keeps a delivery platform's tasks and the tools its teams already use saying the same thing.

* **Envelope**: `{"data": …}`, lists with `"meta": {"cursor", "has_more"}`, errors
  `{"error": {"code", "message", "status"}}`.
* **Authentication**: `Authorization: Bearer <token>`. What is out of the token's scope does not exist (404); what is
  in scope but not permitted is forbidden (403).
* **Pages**: pass `meta.cursor` as `cursor` with the same filters. A cursor that is not valid is a 400, a `limit`
  outside of 1 to 100 a 422.
* **Repeating a POST**: send an `Idempotency-Key`. The same key and body within 24 hours get the same answer, with the
  header `Idempotency-Replayed: true`; the same key with another body is a 422; while the first request is being worked
  on, a 409.
* Bodies are JSON in UTF-8, whatever their `Content-Type`, of at most 1 MiB (413). Unknown fields and parameters are
  refused (422).
* Every answer has an `X-Request-Id`; one sent along is kept.
"""


class Application(FastAPI):
    """FastAPI with our examples put into its description, from which it would drop every null."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        for name, values in examples.BY_SCHEMA.items():
            document["components"]["schemas"][name]["examples"] = values
        return document


ROUTERS = (
    tasks,
    integrations,
    repositories,
    deliveries,
    conflicts,
    incidents,
    measures,
    diagnostics,
    oauth,
    connectors,
    events,
    webhooks,
    notifications,
    health,
)
"""In the order of the description."""


def _operation_id(route: APIRoute) -> str:
    """The endpoint's name is the operation's, so that generated clients read well."""
    return route.name


def create_app(rt: Runtime) -> FastAPI:
    """The application over a runtime."""
    app = Application(
        title="Turnbuckle",
        version="1.0.0",
        description=DESCRIPTION,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.rt = rt
    app.state.meters = Meters(rt)
    for module in ROUTERS:
        app.include_router(module.router)
    errors.install(app)
    app.add_middleware(BodyGuard)
    app.add_middleware(Surround, https=rt.settings.public_url.startswith("https:"))
    return app
