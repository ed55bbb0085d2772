"""Values given on the command line: `key=value`, JSON from files, and secrets, which are never arguments.

Arguments end up in the shell's history and in the list of processes; files, stdin and a prompt do not.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.errors import Refused

STDIN = "-"


def read_config(given: Sequence[str]) -> dict[str, Any]:
    """One JSON object from `@file` (or `@-`) and `key=value` in their order. A value that is JSON is read as such."""
    config: dict[str, Any] = {}
    for text in given:
        if text.startswith("@"):
            config |= _read_object(text[1:], "--config")
            continue
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise Refused(f"--config {text!r}: write key=value, or @file with a JSON object.")
        config[key] = _json_or_text(value)
    return config


def read_secrets(source: str | None) -> dict[str, Any] | None:
    """Credentials as a JSON object: `@file`, `-` for stdin, `?name,name` to be asked for each. None: none are given."""
    if source is None:
        return None
    if source.startswith("?"):
        return _ask(source[1:])
    if source == STDIN or source.startswith("@"):
        return _read_object(source.removeprefix("@"), "--credentials")
    raise Refused(
        "--credentials takes @file, - for stdin, or ?field,field to be asked: secrets on the command line would stay "
        "in your shell's history."
    )


def _ask(names: str) -> dict[str, Any]:
    fields = [name.strip() for name in names.split(",") if name.strip()]
    if not fields:
        raise Refused("--credentials ? names the fields to ask for, such as ?email,api_token.")
    return {field: getpass.getpass(f"{field}: ") for field in fields}


def _read_object(path: str, option: str) -> dict[str, Any]:
    name = "stdin" if path == STDIN else path
    try:
        text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise Refused(f"{option}: {name} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Refused(f"{option}: {name} is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        # Only where, never what: there are secrets in it.
        raise Refused(f"{option}: {name} is not JSON (line {error.lineno}, column {error.colno}).") from None
    if not isinstance(value, dict):
        raise Refused(f"{option}: {name} must hold a JSON object.")
    return value


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
