"""Chooses the request size for one server by the failures of earlier requests.

A request fails by its size for one of two reasons. The server may reject it as too large: :class:`ChunkSizes` then
allows half the size. Or the server's time limit cuts it off, because the connection is slow
(:class:`~syncd.core.errors.CutOff`): :class:`ChunkLimit` halves the size after such failures, and doubles it once
requests are fast again.

:mod:`syncd.remotes.image.chunk_sizes` and :mod:`syncd.remotes.multipart.chunk_sizes` extend :class:`ChunkSizes` for
their APIs. :mod:`syncd.core.concurrency` reduces the number of requests, which comes first.
"""

import time
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager

from syncd.core.errors import CutOff

REFUSED_KEY = "refused"
"""The key in ``capabilities`` of the smallest chunk that the server rejected as too large."""
SLOW_LIMIT_KEY = "slow"
"""The key in ``capabilities`` of the largest request that a slow connection allows."""
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


class ChunkSizes:
    """The request sizes of one server, in the unit of the API: bytes or characters.

    ``configured`` is the chunk size to use until a limit is known. A server that rejects a chunk of ``minimum`` accepts
    none at all; ``slow_minimum`` is the smallest limit for a slow connection.
    """

    def __init__(self, configured: int, *, minimum: int, slow_minimum: int) -> None:
        self._configured = configured
        self._minimum = minimum
        self._capabilities: dict[str, int] = {}
        self.limit = ChunkLimit(self._capabilities, minimum=slow_minimum, maximum=configured, clock=time.monotonic)
        """The size that a slow connection allows."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """The learned limits: ``refused``, ``slow``, and those that a subclass adds."""
        return dict(self._capabilities)

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore the limits that an earlier process learned."""
        self._capabilities.update(capabilities)

    @property
    def chunk_size(self) -> int:
        """The chunk size for the next file."""
        size = min(self._configured, self._capabilities.get(SLOW_LIMIT_KEY, self._configured))
        if REFUSED_KEY not in self._capabilities:
            return size
        return min(size, max(self._minimum, self._capabilities[REFUSED_KEY] // 2))

    def _record(self, key: str, size: int) -> None:
        """Record that a request of ``size`` was too large, unless a smaller one was."""
        self._capabilities[key] = min(size, self._capabilities.get(key, size))
