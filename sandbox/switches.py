"""The switches of a fake vendor, and turning them with a check of their types."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from sandbox.control import ControlError


@dataclass
class Switches:
    """What every fake vendor can be told to do. A vendor adds its own fields. Times are in seconds.

    `search_lag_seconds`: how far listings and searches are behind. `page_limit`: the most items of one
    page, whatever is asked for (0: the vendor's own limit). `webhook_latency_seconds`: from the change to the
    first attempt. `consent`: "auto" or "form". `dead_token_status`: what `invalid_grant` comes with.
    `revoke_on_reuse`: a rotated refresh token used again ends its whole grant. `enforce_limits`: rate
    limits are counted, all sizes multiplied by `limits_scale`.
    """

    search_lag_seconds: float = 0.0
    page_limit: int = 0
    webhook_latency_seconds: float = 0.0
    consent: str = "auto"
    access_token_seconds: int = 3600
    dead_token_status: int = 400
    revoke_on_reuse: bool = True
    enforce_limits: bool = False
    limits_scale: float = 1.0


def read(switches: Switches) -> dict[str, Any]:
    """The switches and their values."""
    return asdict(switches)


def change(switches: Switches, changes: dict[str, Any]) -> dict[str, Any]:
    """Turn switches: all of them, or none. Raises ControlError for an unknown name or a value of another type."""
    known = {f.name: type(getattr(switches, f.name)) for f in fields(switches)}
    for name, value in changes.items():
        if name not in known:
            raise ControlError(f"unknown setting {name!r}; use one of {', '.join(known)}")
        whole_for_float = known[name] is float and type(value) is int
        if type(value) is not known[name] and not whole_for_float:
            raise ControlError(f"{name} must be of type {known[name].__name__}")
    for name, value in changes.items():
        setattr(switches, name, value)
    return read(switches)
