"""Secrets at rest: AES-256-GCM under a ring of named keys.

A sealed value is `v1:<key name>:<base64(nonce + ciphertext)>`. The place it belongs to (its *label*, such as
`integration:INT-26-000041:credentials`) is authenticated with it, so that a sealed value moved to another row
does not open. New values are sealed with the first key of the ring; any key of the ring opens. Rotation is:
put a new key in front, restart, `turnbuckle keys rotate`, drop the old key.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
"""The size AES-GCM is specified for; random nonces are safe for 2^32 values a key, far above our number."""

VERSION = "v1"


class VaultError(Exception):
    """A value can't be sealed or opened; the text says what the operator has to mend."""


class Vault:
    """Seals and opens JSON objects. `keys` is the ring, newest first: name -> 32 bytes."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise VaultError(
                "There is no key for credentials. Set TURNBUCKLE_SECRETS_KEYS, for example to the output of "
                "`turnbuckle keys new`."
            )
        self._ring = {name: AESGCM(key) for name, key in keys.items()}
        self.current = next(iter(keys))

    def __repr__(self) -> str:
        return f"Vault(keys={list(self._ring)})"

    @classmethod
    def parse(cls, ring: str) -> Vault:
        """A vault from `name:base64,name:base64`, newest first. Raises VaultError naming the entry that is wrong."""
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in ring.split(","))):
            name, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not name or len(key) != 32:
                shown = name or "without a name"
                raise VaultError(f"TURNBUCKLE_SECRETS_KEYS: entry {shown!r} is not `name:base64 of 32 bytes`.")
            keys[name] = key
        return cls(keys)

    def seal(self, value: Mapping[str, Any], label: str) -> str:
        """The sealed form of a JSON object for the place `label`."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ring[self.current].encrypt(nonce, json.dumps(value).encode(), label.encode())
        return f"{VERSION}:{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, label: str) -> dict[str, Any]:
        """The JSON object. Raises VaultError for an unknown key, another place or a changed byte."""
        version, _, rest = sealed.partition(":")
        name, _, encoded = rest.partition(":")
        if version != VERSION or name not in self._ring:
            raise VaultError(
                f"{label} was sealed with key {name!r}, which is not in TURNBUCKLE_SECRETS_KEYS. Add that key back to "
                "the end of the ring and rotate again."
            )
        raw = base64.b64decode(encoded)
        try:
            opened = self._ring[name].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], label.encode())
        except InvalidTag:
            raise VaultError(f"{label} does not open: it was changed, or moved here from another place.") from None
        value = json.loads(opened)
        assert isinstance(value, dict)
        return value

    def is_current(self, sealed: str) -> bool:
        """Whether the value is sealed with the newest key; if not, rotation has it to do."""
        return sealed.startswith(f"{VERSION}:{self.current}:")


def new_key(name: str) -> str:
    """A ring entry with a fresh random key."""
    return f"{name}:{base64.b64encode(AESGCM.generate_key(256)).decode()}"
