"""What the daemon asks for pictures: those that were made before at once, the others one after the other."""

import asyncio
from collections import OrderedDict

from syncd.preview.cache import Cache
from syncd.preview.protocol import Unshowable
from syncd.preview.renderer import Renderer

SMALL = 320
"""Pixels of the longest edge in a gallery; only these are kept: of the large ones each is looked at now and then."""
LARGE = 1600
WAITING = 320
"""Pictures that may be waited for, each with its file open: fifty browsers, each of which asks for six at a time."""
REFUSALS = 4096
"""Files without a picture that are remembered, for one may cost the worker its life each time."""


class Crowded(Exception):  # noqa: N818 - it says what is the case
    """More pictures are waited for than may be."""


class Previews:
    """Pictures of open files. Belongs to one event loop; :meth:`close` it."""

    def __init__(self, cache: Cache, renderer: Renderer) -> None:
        self._cache = cache
        self._renderer = renderer
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._refused: OrderedDict[str, str] = OrderedDict()

    async def get(self, descriptor: int, key: str, edge: int) -> bytes:
        """Return the WebP image of an open file that is ``edge`` pixels long at most.

        ``key``, letters and digits, stands for this state of the file and this edge. :class:`Unshowable` if there is no
        picture of it, :class:`Crowded` if too many wait.
        """
        if body := await self._kept(key, edge):
            return body
        if self._waiting >= WAITING:
            raise Crowded("too many previews are asked for: try again later")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._kept(key, edge) or await self._made(descriptor, key, edge)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End what makes them."""
        await self._renderer.close()

    async def _kept(self, key: str, edge: int) -> bytes | None:
        if key in self._refused:
            raise Unshowable(self._refused[key])
        return await asyncio.to_thread(self._cache.get, key) if edge == SMALL else None

    async def _made(self, descriptor: int, key: str, edge: int) -> bytes:
        try:
            body = await self._renderer.render(descriptor, edge)
        except Unshowable as reason:
            self._refused[key] = str(reason)
            if len(self._refused) > REFUSALS:
                self._refused.popitem(last=False)
            raise
        if edge == SMALL:
            await asyncio.to_thread(self._cache.put, key, body)
        return body
