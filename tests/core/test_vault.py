"""Sealed values open only with the right key, in the right place, unchanged."""

from __future__ import annotations

import base64

import pytest

from core.vault import Vault, VaultError, new_key

LABEL = "integration:INT-26-000001:credentials"


def test_what_was_sealed_opens_again_and_never_shows_in_the_sealed_form_or_the_repr():
    vault = Vault.parse(new_key("k1"))
    sealed = vault.seal({"token": "canary"}, LABEL)
    assert vault.open(sealed, LABEL) == {"token": "canary"}
    assert "canary" not in sealed
    assert repr(vault) == "Vault(keys=['k1'])"


def test_the_same_value_is_sealed_differently_each_time():
    vault = Vault.parse(new_key("k1"))
    assert vault.seal({"a": 1}, LABEL) != vault.seal({"a": 1}, LABEL)


def test_a_sealed_value_moved_to_another_row_does_not_open():
    vault = Vault.parse(new_key("k1"))
    with pytest.raises(VaultError, match="moved here from another place"):
        vault.open(vault.seal({}, LABEL), "integration:INT-26-000002:credentials")


def test_no_byte_of_a_sealed_value_can_be_changed():
    vault = Vault.parse(new_key("k1"))
    head, _, encoded = vault.seal({"a": "b"}, LABEL).rpartition(":")
    raw = base64.b64decode(encoded)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(VaultError):
            vault.open(f"{head}:{base64.b64encode(changed).decode()}", LABEL)


def test_an_old_key_still_opens_and_the_newest_seals():
    old, new = new_key("k1"), new_key("k2")
    sealed = Vault.parse(old).seal({"a": 1}, LABEL)
    both = Vault.parse(f"{new},{old}")
    assert both.open(sealed, LABEL) == {"a": 1}
    assert not both.is_current(sealed)
    assert both.is_current(both.seal({"a": 1}, LABEL))


def test_a_value_of_a_key_that_was_dropped_too_early_says_which_key_to_bring_back():
    sealed = Vault.parse(new_key("k1")).seal({}, LABEL)
    with pytest.raises(VaultError, match="sealed with key 'k1'"):
        Vault.parse(new_key("k2")).open(sealed, LABEL)


@pytest.mark.parametrize("ring", ["", "k1", "k1:short", ":" + base64.b64encode(b"x" * 32).decode(), "k1:%%%"])
def test_a_ring_that_makes_no_sense_is_refused_without_repeating_it(ring):
    with pytest.raises(VaultError) as raised:
        Vault.parse(ring)
    assert "short" not in str(raised.value)
