"""The consent of a person at a vendor: the way there (with a token) and the way back (with the state alone)."""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from api import scope
from api.auth import IntegrationWriter, Rt
from api.errors import DESCRIPTIONS, ErrorBody, documented
from api.schemas import Answer, View
from connectors.contract import ConnectorError
from core.errors import PlatformError
from sync import oauth

router = APIRouter(tags=["OAuth"])

STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}"
STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; frame-ancestors 'none'"
}
"""The page runs nothing: whatever a vendor put into its address stays text."""


PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}


class Consent(View):
    """Where a person has to go."""

    authorize_url: str


@router.get(
    "/v1/integrations/{integration_id}/oauth/start",
    response_model=Answer[Consent],
    responses={**documented(404, 409), 302: {"description": "To the vendor, with `format=redirect`."}},
)
def start_consent(
    rt: Rt,
    caller: IntegrationWriter,
    integration_id: str,
    format: Annotated[Literal["json", "redirect"], Query(description="`redirect` answers 302.")] = "json",
) -> Response:
    """Begin the consent at the vendor: the address to open in a browser, valid for some minutes and for one use."""
    with rt.db.read() as session:
        found = scope.integration(session, caller, integration_id)
    url = oauth.start(rt, found.id, caller.actor)
    if format == "redirect":
        return RedirectResponse(url, 302)
    return JSONResponse(Answer(data=Consent(authorize_url=url)).model_dump(mode="json"))


@router.get(
    "/v1/oauth/{type}/callback",
    response_class=HTMLResponse,
    responses={
        400: {"model": ErrorBody, "description": DESCRIPTIONS[400], "content": PAGE},
        404: {"description": "There is no such integration any more.", "content": PAGE},
        409: {"description": "The vendor did not agree, or could not be reached.", "content": PAGE},
        422: {"description": "The vendor did not accept the authorization.", "content": PAGE},
    },
)
def finish_consent(
    rt: Rt,
    type: str,
    state: str = "",
    code: str | None = None,
    error: str | None = None,
    error_description: str | None = None,
    iss: str | None = None,
) -> HTMLResponse:
    """Where the vendor sends the person back to; answers a page for their eyes."""
    try:
        connected = oauth.complete(
            rt, type, code, state, actor=None, error=error, error_description=error_description, iss=iss
        )
    except PlatformError as refused:
        return page(refused.status, "Not connected", refused.message)
    except ConnectorError as refused:
        return page(422, "Not connected", refused.text)
    return page(200, "Connected", f"{connected.name} is connected. You can close this page.")


def page(status: int, heading: str, text: str) -> HTMLResponse:
    """A small page; nothing in it is taken for markup."""
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(heading)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(heading)}</h1><p>{html.escape(text)}</p></html>"
    )
    return HTMLResponse(body, status, PAGE_HEADERS)
