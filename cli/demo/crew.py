"""People at work in a thread of their own: one scene after the other, as chance has it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random

from cli.demo.tool import REFUSALS
from connectors.contract import ConnectorError

Scene = tuple[Callable[[], None], int]
"""What they do, and how often in proportion to their other scenes."""


class Crew(ABC):
    """A cast; the same seed plays the same scenes. `troubles` is what they were told that they did not expect."""

    pause: tuple[float, float]
    """Seconds between two scenes."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.troubles: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=type(self).__name__, daemon=True)

    @abstractmethod
    def scenes(self) -> Sequence[Scene]:
        """All that they play."""

    def opening(self) -> Sequence[Callable[[], None]]:
        """What is played first, in this order: what nobody should miss who watches for a short time."""
        return ()

    def wait(self, seconds: float) -> None:
        """Let some time pass, though not if they are to go home."""
        self._stop.wait(seconds)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the scene and go home."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        scenes = [scene for scene, weight in self.scenes() for _ in range(weight)]
        first = iter(self.opening())
        while not self._stop.wait(self.rng.uniform(*self.pause)):
            scene = next(first, None) or self.rng.choice(scenes)
            try:
                scene()
            except (ConnectorError, *REFUSALS) as error:
                self.troubles.append(str(error))
