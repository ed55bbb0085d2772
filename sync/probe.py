"""Integrations through which things are only said are asked now and then whether the vendor still lets us in.

Nothing is read of them, so nobody would notice before something has to be said. What the check finds out anew (keys
that a vendor has changed) is kept.
"""

from __future__ import annotations

from sync.contained import contained
from sync.credentials import learn, load, save
from sync.leases import Lease
from sync.lifecycle import locked
from sync.runtime import Runtime
from sync.sessions import Session


def probe(rt: Runtime, lease: Lease, session: Session) -> None:
    """Ask, and keep what is new. Raises what `check` raises; Conflict for an integration without credentials."""
    with contained():
        account = session.connector.check()
    with rt.db.write() as db:
        lease.guard(db)
        row = locked(db, session.integration.id)
        opened = load(rt, db, row)
        values = learn(opened.values, account)
        if opened.version != session.credential_version or values == opened.values:
            return  # others have set them meanwhile, or there is nothing new
        model = session.connector.manifest.credentials[opened.mode].model_validate(values)
        save(rt, db, row.id, opened.mode, values, model)
