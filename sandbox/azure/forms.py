"""What all parts of Azure DevOps show alike: people, times, lists, and the page on which people sign in."""

from html import escape
from typing import Any

from sandbox.tracker import User


def identity(user: User) -> dict[str, Any]:
    """A person as REST 7.x has them."""
    return {"id": user.id, "displayName": user.name, "uniqueName": user.email, "descriptor": f"aad.{user.id}"}


def named(user: User) -> str:
    """A person in a delivery."""
    return f"{user.name} <{user.email}>"


def stamp(moment: Any) -> str:
    """A time with as many fraction digits as it needs."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def page(title: str) -> str:
    """A page for people, where a program would want JSON."""
    return f"<!doctype html><html><head><title>{escape(title)}</title></head><body>Sign in to continue.</body></html>"


def listed(rows: list[Any]) -> dict[str, Any]:
    """A list; `count` is of this page."""
    return {"count": len(rows), "value": rows}
