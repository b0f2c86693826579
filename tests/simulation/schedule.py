"""The queue of the world's future actions; it outlives each process of the daemon."""

import heapq
import itertools
from collections.abc import Callable


class Schedule:
    """Actions with their times in simulated seconds; equal times keep the order of insertion."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Add an action."""
        heapq.heappush(self._heap, (when, next(self._numbers), do))

    @property
    def next(self) -> float:
        """The time of the next action; ``inf`` if there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self) -> Callable[[], object]:
        """Remove and return the next action."""
        return heapq.heappop(self._heap)[2]
