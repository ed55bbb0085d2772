"""What people see of a message whose text is marked up: what can be read, what is set apart, where it leads, whom it
calls."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Seen:
    """A message as people see it: its texts in order, the parts of them that marks set apart, the addresses it leads
    to, who is called, and the ids of buttons that come back."""

    texts: list[str] = field(default_factory=list)
    styled: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    buttons: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that can be read."""
        return "\n".join(self.texts)

    def without_marks(self, text: str, marks: re.Pattern[str]) -> str:
        """A text without these marks; what is between them (the pattern's group `inner`) is set apart."""

        def bare(found: re.Match[str]) -> str:
            self.styled.append(found["inner"])
            return found["inner"]

        return marks.sub(bare, text)


def replaced(
    text: str, pattern: re.Pattern[str], shown: Callable[[re.Match[str]], str]
) -> tuple[str, Callable[[str], str]]:
    """A text in which each match is a character that nothing marks up, and what puts in what is shown for it."""
    found: list[str] = []

    def kept(match: re.Match[str]) -> str:
        found.append(shown(match))
        return chr(FIRST + len(found) - 1)

    bare = pattern.sub(kept, text)
    return bare, lambda marked: "".join(_put_back(found, character) for character in marked)


FIRST = 0xF0000
"""The first character that stands for something: they are nobody's, so no text has them."""


def _put_back(found: list[str], character: str) -> str:
    number = ord(character) - FIRST
    return found[number] if 0 <= number < len(found) else character
