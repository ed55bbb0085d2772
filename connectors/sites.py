"""The address of a vendor's site, as people open it and enter it into a config. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def site_address(value: str, example: str) -> str:
    """An address without a path, in lower case. https only, but for this machine and names without a domain: a
    sandbox's. Raises ValueError, which shows how one is written by an `example`."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise ValueError(f"write the site as {example}, without anything behind it")
    near = "." not in parts.hostname or parts.hostname.startswith("127.")
    if parts.query or parts.fragment or (parts.scheme == "http" and not near):
        raise ValueError("the site must be an https address")
    return value.rstrip("/").lower()
