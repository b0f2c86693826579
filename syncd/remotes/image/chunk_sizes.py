"""Chooses the chunk size for a server of the image API.

All chunks of an image have one size, so the size must be known before the image is registered: after a rejection, the
client finds an accepted size with chunks for an unknown image.
"""

import asyncio
from collections.abc import Awaitable, Callable

from syncd.core.errors import Failure
from syncd.remotes.chunk_sizes import REFUSED_KEY, ChunkSizes
from syncd.remotes.speedtest import ChunkTooLargeError

MIN_CHUNK_CHARACTERS = 256
"""A server that rejects a chunk of this size accepts none at all."""
_MIN_SLOW_CHUNK_CHARACTERS = 1024
"""Smaller chunks would hardly be faster, because the headers of each request have about 300 bytes."""


class ImageChunkSizes(ChunkSizes):
    """The chunk sizes of one server, in characters.

    ``measure_upload`` is that of :class:`syncd.remotes.base.Remote`: it sends a chunk of a given size for an unknown
    image.
    """

    def __init__(self, configured: int, measure_upload: Callable[[int], Awaitable[None]]) -> None:
        super().__init__(configured, minimum=MIN_CHUNK_CHARACTERS, slow_minimum=_MIN_SLOW_CHUNK_CHARACTERS)
        self._measure_upload = measure_upload
        self._learning = asyncio.Lock()
        self.largest_accepted = 0
        """The largest chunk that the server has accepted since the start."""

    @property
    def chunk_size(self) -> int:
        """The chunk size for the next image.

        It is a multiple of 4, so that each chunk of base64 begins at a whole byte.
        """
        size = super().chunk_size
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
            if length >= self._capabilities.get(REFUSED_KEY, length + 1):
                return True
            if not certain and await self._rejects(length) is False:
                return False
            self._record(REFUSED_KEY, length)
            while length // 2 > MIN_CHUNK_CHARACTERS and await self._rejects(length // 2):
                length //= 2
                self._record(REFUSED_KEY, length)
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
