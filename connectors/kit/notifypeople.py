"""The bench for notifications: what people at a vendor of messages read and do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A message as people see it now.

    id        as the connector's MessageRef has it
    under     the id of the message in whose thread it is
    shown     all that can be read in it, in order, without whatever marks it up
    styled    the parts that are set apart by marks in a text: bold, a quote, an item of a list
    links     the addresses that texts of it lead to, and its buttons that open one
    calls     who is called by it: persons, everybody
    buttons   the ids of those that come back when they are pressed
    edited    how often it was changed
    """

    id: str
    under: str | None
    shown: str
    styled: Sequence[str] = ()
    links: Sequence[str] = ()
    calls: Sequence[str] = ()
    buttons: Sequence[str] = ()
    edited: int = 0


class NotifyPeople(Protocol):
    """People in the channels of a vendor."""

    @property
    def channels(self) -> tuple[str, str]:
        """Two channels, as a route names them; the first is the config's default one."""
        ...

    @property
    def limited(self) -> Mapping[str, str]:
        """What is limited (`item`: a channel, `account`) -> the vendor's name of a call that is answered so. Left out
        is what the vendor has no limit of, or none of its own."""
        ...

    @property
    def signs_bodies(self) -> bool:
        """Whether the vendor's proof of a delivery covers its body."""
        ...

    def said(self, channel: str) -> Sequence[Message]:
        """What is in a channel, in the order in which it was said first."""
        ...

    def erase(self, channel: str, message: str) -> None:
        """Delete a message."""
        ...

    def close(self, channel: str) -> None:
        """Nothing can be said in the channel any more: it is archived, or the app is taken out of it."""
        ...

    def reopen(self, channel: str) -> None:
        """Something can be said there again."""
        ...

    def end_access(self) -> None:
        """Nothing can be said anywhere any more: the app is taken out, its credentials are revoked."""
        ...

    def give_access(self) -> None:
        """The same credentials are good again."""
        ...

    def press(self, channel: str, message: str, button: str) -> None:
        """Press a button."""
        ...
