"""The queue of the world's coming actions; it outlives each process of the daemon."""

import heapq
import itertools
from collections.abc import Callable


class Schedule:
    """Actions at given times, in simulated seconds; actions of the same time keep the order of their addition."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Note something."""
        heapq.heappush(self._heap, (when, next(self._numbers), do))

    @property
    def next(self) -> float:
        """When something is to be done; ``inf`` if nothing is."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self) -> Callable[[], object]:
        """Take off what comes first."""
        return heapq.heappop(self._heap)[2]
