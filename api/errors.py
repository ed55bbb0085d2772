"""Every error leaves in the platform's envelope, whoever raised it: us, the framework, a connector or a bug."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from connectors.contract import BadPayload, Conflict, ConnectorError, RateLimited, Transient
from core.errors import PlatformError

log = structlog.get_logger(__name__)

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "unprocessable",
    429: "rate_limited",
    500: "server_error",
}
"""The platform's codes. Any other 4xx (405, 413) is a bad_request with its own status."""

DESCRIPTIONS = {
    400: "The request makes no sense: malformed JSON, a bad cursor, a parameter missing.",
    401: "The token is missing or invalid.",
    403: "The token, or the agent's policy, does not permit this.",
    404: "It does not exist, or is out of the token's scope.",
    409: "The state of things does not allow it now.",
    413: "The body is larger than 1 MiB.",
    422: "A value is not acceptable; the message names the field.",
    500: "A bug, logged under the request id.",
}

ERRORS_SHOWN = 10
"""Of a body that is wrong in many places; enough to mend it in one go, without answering with a book."""

TRY_LATER = (RateLimited, Transient, Conflict, BadPayload)
"""A vendor's answers that say nothing about the request itself: the same one may work later."""


class Problem(BaseModel):
    """What was wrong."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["Task TSK-26-018841 not found."])
    status: int = Field(examples=[404])


class ErrorBody(BaseModel):
    """The envelope of every error."""

    error: Problem


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route of /v1: these errors, and those that every route can answer."""
    return {
        status: {"model": ErrorBody, "description": DESCRIPTIONS[status]}
        for status in sorted({400, 401, 403, 422, 500, *statuses})
    }


def envelope(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """An error's body."""
    fallback = "bad_request" if status < 500 else "server_error"
    return {"error": {"code": code or CODES.get(status, fallback), "message": message, "status": status}}


def answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error's whole answer."""
    return JSONResponse(envelope(status, message), status, headers)


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(PlatformError, _platform_error)
    app.add_exception_handler(ConnectorError, _vendor_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


def _platform_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PlatformError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(envelope(error.status, error.message, error.code), error.status, headers)


def _vendor_error(request: Request, error: Exception) -> JSONResponse:
    """A vendor said no, or could not be asked. The connector's texts are for the operator and hold no secret."""
    assert isinstance(error, ConnectorError)
    status = 409 if isinstance(error, TRY_LATER) else 422
    return answer(status, error.text)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Name each field and what is wrong with it, never what was sent: it may have been a secret in a wrong place."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if found[0]["type"] == "json_invalid":
        return answer(400, f"The body is not valid JSON (at character {found[0]['loc'][-1]}).")
    sentences = [_sentence(each["loc"], each["type"], each["msg"]) for each in found[:ERRORS_SHOWN]]
    return answer(422, "; ".join(sentences) + ".")


def _sentence(location: Sequence[str | int], kind: str, message: str) -> str:
    place = ".".join(str(part) for part in location[1:]) or str(location[0])
    if kind == "missing":
        return f"{place}: is required"
    if kind == "extra_forbidden":
        return f"{place}: is not a known {'parameter' if location[0] == 'query' else 'field'}"
    words = message.removeprefix("Value error, ")
    return f"{place}: {words[0].lower()}{words[1:]}"


def _http_error(request: Request, error: Exception) -> JSONResponse:
    """The framework's own: no such route, no such method, a body that can't be read."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answer(404, f"There is no {request.method} {request.url.path}.")
    if error.status_code == 405:
        methods = allowed_methods(request)
        return answer(405, f"{request.url.path} takes {methods}, not {request.method}.", {"Allow": methods})
    return answer(error.status_code, f"{error.detail}.", error.headers)


def allowed_methods(request: Request) -> str:
    """All methods of the request's path; the router itself knows only those of the first route that fits."""
    operations = request.app.openapi()["paths"].get(request.scope["route"].path, {})
    return ", ".join(sorted(method.upper() for method in operations))


def _bug(request: Request, error: Exception) -> JSONResponse:
    """What nobody foresaw is logged in full and told to nobody."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    # As plain text: a renderer that shows local variables would show the bodies of requests, credentials and all.
    trace = "".join(traceback.format_exception(error))
    log.error("request.failed", request_id=request_id, path=request.url.path, trace=trace)
    message = f"Something went wrong here. Quote the request id {request_id} when you report it."
    return answer(500, message, {"X-Request-Id": request_id})
