"""The platform's errors: what the API answers, and what the CLI prints. The text is for who sent the request."""

from __future__ import annotations

from typing import ClassVar


class PlatformError(Exception):
    """Base: `code` and `status` are the platform's, the message names the thing and what to do."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(PlatformError):
    """The request's parameters make no sense."""

    code = "bad_request"
    status = 400


class Unauthorized(PlatformError):
    """No token, or one that is not valid (any more)."""

    code = "unauthorized"
    status = 401


class Forbidden(PlatformError):
    """The thing is in the caller's scope, but this is not permitted."""

    code = "forbidden"
    status = 403


class NotFound(PlatformError):
    """It does not exist, or is out of the caller's scope, which must look the same."""

    code = "not_found"
    status = 404


class Conflict(PlatformError):
    """The state of things does not allow it now."""

    code = "conflict"
    status = 409


class Unprocessable(PlatformError):
    """The body is well formed, but a value in it is not acceptable."""

    code = "unprocessable"
    status = 422


class RateLimited(PlatformError):
    """Too many requests."""

    code = "rate_limited"
    status = 429
