"""How large a request may be for a server that limits the time of each, on a line that is slow today."""

from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager

from syncd.core.errors import CutOff

FACT = "slow"
PATIENCE = 3
"""So many rounds of requests may be cut off in a row before they become smaller: fewer in flight may help before."""
QUICK = 1.0
"""Seconds; a request of the largest size that takes less shows that larger ones would go."""


class ChunkLimit:
    """Learns from requests that were cut off; ``clock`` is monotonic, in seconds.

    The size that a request may have, in bytes or characters, is kept in ``capabilities`` as ``slow``: never less than
    ``least``, and not at all once it reaches ``most``. It is a multiple of 4, as chunks of base64 are: one as large as
    the limit shows whether it can grow.
    """

    def __init__(
        self, capabilities: MutableMapping[str, int], *, least: int, most: int, clock: Callable[[], float]
    ) -> None:
        self._capabilities = capabilities
        self._least = least
        self._most = most
        self._clock = clock
        self._rounds = 0
        self._last_cut = float("-inf")

    def allows(self, size: int) -> bool:
        """Say whether a request of ``size`` may be sent."""
        return size <= self._capabilities.get(FACT, size)

    @contextmanager
    def learning(self, size: int) -> Generator[None]:
        """Learn from the request of ``size`` that the block sends."""
        began = self._clock()
        try:
            yield
        except CutOff:
            if began > self._last_cut:  # those that were in flight with one that was cut off count no more
                self._cut_off(size)
            raise
        self._rounds = 0
        if size >= self._capabilities.get(FACT, size + 1) and self._clock() - began < QUICK:
            self._grow()

    def _cut_off(self, size: int) -> None:
        self._last_cut = self._clock()
        self._rounds += 1
        if self._rounds >= PATIENCE and self.allows(size):  # a larger one, begun before, says nothing of this limit
            self._capabilities[FACT] = max(self._least, size // 8 * 4)

    def _grow(self) -> None:
        self._capabilities[FACT] *= 2
        if self._capabilities[FACT] >= self._most:
            del self._capabilities[FACT]
