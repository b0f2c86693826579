"""Choose the chunk size for a server of the image API.

Two limits are learned. ``refused`` comes from chunks that the server rejected as too large. ``slow`` comes from
requests that a slow connection did not finish in time (:mod:`syncd.remotes.chunk_limit`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from syncd.core.errors import Failure
from syncd.remotes.chunk_limit import SLOW_LIMIT_KEY, ChunkLimit
from syncd.remotes.speedtest import ChunkTooLargeError

MIN_CHUNK_CHARACTERS = 256
"""A server that rejects a chunk of this size accepts none at all."""
_MIN_SLOW_CHUNK_CHARACTERS = 1024
"""Smaller chunks would hardly be faster, because the headers of each request have about 300 bytes."""


class ChunkSizes:
    """The chunk sizes of one server, in characters.

    ``configured`` is the size to use until a limit is known. ``measure_upload`` is that of
    :class:`syncd.remotes.base.Remote`: it sends a chunk of a given size for an unknown image.
    """

    def __init__(self, configured: int, measure_upload: Callable[[int], Awaitable[None]]) -> None:
        self._configured = configured
        self._measure_upload = measure_upload
        self._capabilities: dict[str, int] = {}
        self.limit = ChunkLimit(
            self._capabilities, minimum=_MIN_SLOW_CHUNK_CHARACTERS, maximum=configured, clock=time.monotonic
        )
        """The size that a slow connection allows."""
        self._learning = asyncio.Lock()
        self.largest_accepted = 0
        """The largest chunk that the server has accepted since the start."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """``refused``: the smallest chunk that was too large.

        ``slow``: the largest chunk to send over a connection that was too slow for larger ones.
        """
        return dict(self._capabilities)

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore what an earlier process learned."""
        self._capabilities.update(capabilities)

    @property
    def wanted(self) -> int:
        """The chunk size for the next image.

        It is a multiple of 4, so that each chunk of base64 begins at a whole byte.
        """
        size = min(self._configured, self._capabilities.get(SLOW_LIMIT_KEY, self._configured))
        if "refused" in self._capabilities:
            size = min(size, max(MIN_CHUNK_CHARACTERS, self._capabilities["refused"] // 2))
        return size - size % 4 or size

    def record_accepted(self, length: int) -> None:
        """Record that the server accepted a chunk of ``length``."""
        self.largest_accepted = max(self.largest_accepted, length)

    async def learn_refused(self, length: int, *, certain: bool) -> bool:
        """Record that a chunk of ``length`` was too large, and find an accepted size.

        The size is found with chunks for an unknown image. An image that is registered with too large chunks can never
        be completed, so the size must be known before the next registration. Unless ``certain``, first test that the
        size is the reason; return False if it is not.
        """
        async with self._learning:  # other chunks in flight are rejected at the same time
            if length >= self._capabilities.get("refused", length + 1):
                return True
            if not certain and await self._rejects(length) is False:
                return False
            self._capabilities["refused"] = length
            while length // 2 > MIN_CHUNK_CHARACTERS and await self._rejects(length // 2):
                length //= 2
                self._capabilities["refused"] = length
            return True

    async def _rejects(self, length: int) -> bool | None:
        """Return whether the server rejects any chunk of ``length``; None if unclear."""
        try:
            await self._measure_upload(length)
        except ChunkTooLargeError:
            return True
        except Failure:
            return None
        return False
