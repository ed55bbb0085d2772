"""Forge: a code host that does not exist, connected. It is the example of a code source, and what the kit's rules about
code are tested with."""

from tests.kit.forge.connector import ForgeConnector

__all__ = ["ForgeConnector"]
