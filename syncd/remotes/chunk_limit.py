"""Limit the request size on a connection that is too slow for a server's time limit.

Some servers cut off each request that takes longer than a fixed time. :class:`ChunkLimit` halves the request size after
such failures and doubles it again once requests are fast. Both clients use it; see also
:mod:`syncd.remotes.image.chunk_sizes` and :mod:`syncd.remotes.multipart.chunk_sizes`.
"""

from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager

from syncd.core.errors import CutOff

SLOW_LIMIT_KEY = "slow"
"""The key in ``capabilities`` under which the limit is stored."""
CUT_OFF_ROUNDS = 3
"""Consecutive rounds of cut-off requests before the size is halved. Until then, fewer concurrent requests may help."""
FAST_REQUEST_SECONDS = 1.0
"""If a request of the largest allowed size takes less time, larger requests are allowed."""


class ChunkLimit:
    """Learns the largest request size from requests that were cut off.

    The limit, in bytes or characters, is stored in ``capabilities`` as ``slow``. It is at least ``minimum``, and is
    removed once it reaches ``maximum``. It is a multiple of 4, like the chunks of base64, so that a chunk can be as
    large as the limit and show whether the limit can grow. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self, capabilities: MutableMapping[str, int], *, minimum: int, maximum: int, clock: Callable[[], float]
    ) -> None:
        self._capabilities = capabilities
        self._minimum = minimum
        self._maximum = maximum
        self._clock = clock
        self._rounds = 0
        self._last_cut = float("-inf")

    def allows(self, size: int) -> bool:
        """Return whether a request of ``size`` may be sent."""
        return size <= self._capabilities.get(SLOW_LIMIT_KEY, size)

    @contextmanager
    def learning(self, size: int) -> Generator[None]:
        """Learn from the outcome of the request of ``size`` that the block sends."""
        began = self._clock()
        try:
            yield
        except CutOff:
            if began > self._last_cut:  # requests that were in flight at the same time count once
                self._record_cut_off(size)
            raise
        self._rounds = 0
        if size >= self._capabilities.get(SLOW_LIMIT_KEY, size + 1) and self._clock() - began < FAST_REQUEST_SECONDS:
            self._grow()

    def _record_cut_off(self, size: int) -> None:
        self._last_cut = self._clock()
        self._rounds += 1
        if self._rounds >= CUT_OFF_ROUNDS and self.allows(size):  # a request above the limit began before it was set
            self._capabilities[SLOW_LIMIT_KEY] = max(self._minimum, size // 8 * 4)

    def _grow(self) -> None:
        self._capabilities[SLOW_LIMIT_KEY] *= 2
        if self._capabilities[SLOW_LIMIT_KEY] >= self._maximum:
            del self._capabilities[SLOW_LIMIT_KEY]
