"""Errors are data: what a connector may raise, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class ConnectorError(Exception):
    """Base of all that a connector may raise. `code` is stable; the text is for the operator and holds no secret."""

    code: ClassVar[str] = "connector_error"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AuthFailed(ConnectorError):
    """The credentials are dead: refresh once, then ask for new consent."""

    code = "auth_failed"


class ConsentPending(ConnectorError):
    """The vendor has not confirmed the authorization yet: nothing is wrong, and nothing can be called. Raised by
    `check`, it makes the integration wait: it is checked again, after seconds at first and every 15 minutes at last."""

    code = "consent_pending"


class Forbidden(ConnectorError):
    """The credentials are good but may not do this."""

    code = "forbidden"


class NotFound(ConnectorError):
    """The vendor has no such thing, or hides it from us."""

    code = "not_found"


class Conflict(ConnectorError):
    """The item changed meanwhile: refetch and decide again."""

    code = "conflict"


class RateLimited(ConnectorError):
    """Come back at `until` (aware). `scope` says what is limited: the whole `account`, or one `item`."""

    code = "rate_limited"

    def __init__(self, text: str, until: datetime, scope: str = "account") -> None:
        super().__init__(text)
        self.until = until
        self.scope = scope


class Transient(ConnectorError):
    """It may work later. `maybe_done` is True when the request may have taken effect at the vendor."""

    code = "transient"

    def __init__(self, text: str, maybe_done: bool = True, retry_at: datetime | None = None) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done
        self.retry_at = retry_at


class Rejected(ConnectorError):
    """The vendor understood and said no. `field` is ours where it can be told, else None."""

    code = "rejected"

    def __init__(self, text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


class BadSignature(ConnectorError):
    """A delivery that must not be believed; `text` says which check failed, never what would have passed."""

    code = "bad_signature"


class BadPayload(ConnectorError):
    """A delivery or an answer that does not have the shape the vendor documents."""

    code = "bad_payload"
