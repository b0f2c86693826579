"""How large the chunks are that a server of the image API takes, learned from its refusals and from a slow line."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from syncd.core.errors import Failure
from syncd.remotes.chunk_limit import FACT, ChunkLimit
from syncd.remotes.speedtest import ChunkTooLarge

LEAST_CHUNK = 256
"""Characters; a server that refuses such a chunk takes none."""
_LEAST_SLOW = 1024
"""Characters; smaller chunks would hardly be faster, as each request has a head of some 300 bytes."""


class ChunkSizes:
    """What is known of the sizes, in characters.

    ``configured`` is the size to use as long as nothing is known; ``send_in_vain`` sends a chunk of an image that there
    is not.
    """

    def __init__(self, configured: int, send_in_vain: Callable[[int], Awaitable[None]]) -> None:
        self._configured = configured
        self._send_in_vain = send_in_vain
        self._capabilities: dict[str, int] = {}
        self.limit = ChunkLimit(self._capabilities, least=_LEAST_SLOW, most=configured, clock=time.monotonic)
        """What a slow line allows."""
        self._learning = asyncio.Lock()
        self.taken = 0
        """The largest chunk that the server has taken since the start."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """``refused``: the smallest chunk that was too large.

        ``slow``: the largest that is sent on a line that was too slow for larger ones.
        """
        return dict(self._capabilities)

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Take up what was learned in an earlier life."""
        self._capabilities.update(capabilities)

    @property
    def wanted(self) -> int:
        """The size for the next image; a multiple of 4, so that chunks of base64 begin at whole bytes."""
        size = min(self._configured, self._capabilities.get(FACT, self._configured))
        if "refused" in self._capabilities:
            size = min(size, max(LEAST_CHUNK, self._capabilities["refused"] // 2))
        return size - size % 4 or size

    def took(self, length: int) -> None:
        """Take note that the server has taken a chunk."""
        self.taken = max(self.taken, length)

    async def learn(self, length: int, *, sure: bool) -> bool:
        """Take note that a chunk of ``length`` was too large, and find out by chunks sent in vain which one is not.

        An image that was begun in larger chunks than the server takes may be lost to it. Unless ``sure``, it is first
        found out whether the size is to blame; False if not.
        """
        async with self._learning:  # the chunks in flight beside it are refused as well
            if length >= self._capabilities.get("refused", length + 1):
                return True
            if not sure and await self._rejects(length) is False:
                return False
            self._capabilities["refused"] = length
            while length // 2 > LEAST_CHUNK and await self._rejects(length // 2):
                length //= 2
                self._capabilities["refused"] = length
            return True

    async def _rejects(self, length: int) -> bool | None:
        """Say whether a chunk of ``length`` is too large whatever is in it; None if that can't be found out."""
        try:
            await self._send_in_vain(length)
        except ChunkTooLarge:
            return True
        except Failure:
            return None
        return False
