"""Errors of the user's making end in one sentence on stderr and exit code 1. All else is a bug and shows as one."""

from __future__ import annotations

import sys
from typing import Any

import typer
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, OperationalError
from typer.core import TyperGroup

from connectors.contract import ConnectorError
from core.errors import PlatformError
from core.vault import VaultError


class Refused(Exception):
    """The command can't be done as it was given; the text says what to do instead."""


class Group(TyperGroup):
    """The top of the command tree, where errors become sentences."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (Refused, PlatformError, VaultError, ConnectorError) as error:
            _say(str(error))
        except OperationalError as error:
            _say(f"The database can't be used: {_first_line(error.orig)}")
        except ArgumentError as error:
            _say(f"TURNBUCKLE_DATABASE_URL: {error}")
        except ValidationError as error:
            _say(_settings_text(error))
        raise typer.Exit(1)


def _say(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0]


def _settings_text(error: ValidationError) -> str:
    """Which environment variable is wrong, and how."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"TURNBUCKLE_{'__'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in found)
