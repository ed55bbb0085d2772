"""`turnbuckle keys`: the key ring that secrets are sealed with, and its rotation.

Rotation is online: put a new key in front of the ring, restart every process, rotate, drop the old key, restart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import typer
from rich.progress import Progress
from sqlalchemy import ColumnElement, func, not_, select

from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, note, print_json
from core.clock import utc_now
from core.models import Credential, OAuthAttempt, Subscription, WebhookEndpoint
from core.vault import VERSION, Vault, VaultError, new_key
from sync.runtime import Runtime
from webhooks.outbound.endpoints import PLACE

app = typer.Typer(no_args_is_help=True, help="The keys that secrets are encrypted with.")

BATCH = 100
"""Values sealed anew in one transaction: milliseconds, so that nobody who saves credentials notices."""


@dataclass(frozen=True)
class Sealed:
    """One table with a column `sealed`. `place` is where a row's value belongs: the vault opens it nowhere else."""

    name: str
    model: Any
    key: Any
    place: str


SEALED: Sequence[Sealed] = (
    Sealed("credentials", Credential, Credential.integration_id, "integration:{}:credentials"),
    Sealed("webhook secrets", Subscription, Subscription.integration_id, "integration:{}:subscription"),
    Sealed("outbound webhook secrets", WebhookEndpoint, WebhookEndpoint.id, PLACE),
    Sealed("OAuth consents", OAuthAttempt, OAuthAttempt.state_digest, "oauth_attempt:{}"),
)


@dataclass
class Rotated:
    """What came of one table: how many values were sealed anew, and why others could not be opened."""

    count: int = 0
    failures: list[str] = field(default_factory=list)


@app.command()
def new(
    name: Annotated[str | None, typer.Argument(help="What to call the key; k and the date by default.")] = None,
) -> None:
    """Print a fresh key, to be put in front of TURNBUCKLE_SECRETS_KEYS."""
    chosen = name or f"k{utc_now():%Y%m%d}"
    if set(chosen) & set(":, \n"):
        raise Refused("A key's name has no colon, comma or space: these separate the entries of the ring.")
    typer.echo(new_key(chosen))


@app.command()
def rotate(as_json: Json = False) -> None:
    """Seal everything with the newest key. Online; may be stopped and run again. Afterwards the older keys can go."""
    with open_runtime() as runtime, Progress(disable=as_json, transient=True) as progress:
        results = {}
        for sealed in SEALED:
            bar = progress.add_task(sealed.name, total=_count_old(runtime, sealed))
            results[sealed.name] = _rotate(runtime, sealed, partial(progress.advance, bar))
        current = runtime.vault.current
    if as_json:
        print_json({"key": current, "sealed_anew": {name: result.count for name, result in results.items()}})
    else:
        made = ", ".join(f"{result.count} {name}" for name, result in results.items())
        note(f"Sealed anew with key {current}: {made}.")
    failures = [text for result in results.values() for text in result.failures]
    if failures:
        raise Refused(f"{len(failures)} values could not be opened and are as they were; the first: {failures[0]}")
    if not as_json:
        note(f"The other keys can be taken out of the ring; {current} opens everything.")


def _rotate(runtime: Runtime, sealed: Sealed, advance: Callable[[int], None]) -> Rotated:
    """Seal a table's old values anew, batch by batch in the order of its key."""
    result = Rotated()
    last = ""
    while keys := _rotate_batch(runtime, sealed, last, result):
        last = keys[-1]
        advance(len(keys))
    return result


def _rotate_batch(runtime: Runtime, sealed: Sealed, after: str, result: Rotated) -> list[str]:
    """The next batch, in a transaction that holds its rows: who changes one meanwhile waits, and is not undone."""
    old = select(sealed.model).where(_is_old(sealed, runtime.vault), sealed.key > after)
    with runtime.db.write() as session:
        rows = session.scalars(old.order_by(sealed.key).limit(BATCH).with_for_update()).all()
        keys = [str(getattr(row, sealed.key.key)) for row in rows]
        for key, row in zip(keys, rows, strict=True):
            label = sealed.place.format(key)
            try:
                row.sealed = runtime.vault.seal(runtime.vault.open(row.sealed, label), label)
                result.count += 1
            except VaultError as error:
                result.failures.append(str(error))
    return keys


def _count_old(runtime: Runtime, sealed: Sealed) -> int:
    with runtime.db.read() as session:
        return session.scalar(select(func.count(sealed.key)).where(_is_old(sealed, runtime.vault))) or 0


def _is_old(sealed: Sealed, vault: Vault) -> ColumnElement[bool]:
    """Not sealed with the newest key."""
    return not_(sealed.model.sealed.startswith(f"{VERSION}:{vault.current}:", autoescape=True))
