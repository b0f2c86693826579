"""Serves previews to the daemon, from the cache or rendered one at a time."""

import asyncio
from collections import OrderedDict

from syncd.preview.cache import Cache
from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer

SMALL_EDGE_PIXELS = 320
"""Longest edge in a gallery. Only these previews are cached, because users rarely open large ones."""
LARGE_EDGE_PIXELS = 1600
MAX_WAITING = 320
"""Requests that may wait, each with its file open. Enough for 50 browsers with 6 requests each."""
MAX_REMEMBERED_FAILURES = 4096
"""Files without a preview to remember, because each attempt to render one may kill the worker."""


class PreviewQueueFullError(Exception):
    """Too many previews are requested at the same time."""


class Previews:
    """Returns previews of open files.

    Use it in one event loop, and call :meth:`close` at the end.
    """

    def __init__(self, cache: Cache, renderer: Renderer) -> None:
        self._cache = cache
        self._renderer = renderer
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._without_preview: OrderedDict[str, str] = OrderedDict()

    async def get(self, descriptor: int, key: str, edge: int) -> bytes:
        """Return a WebP preview of an open file, with no edge longer than ``edge`` pixels.

        ``key`` (letters and digits) identifies this state of the file and this edge. Raises :class:`NoPreviewError` if
        the file has no preview, and :class:`PreviewQueueFullError` if too many requests wait.
        """
        if body := await self._cached(key, edge):
            return body
        if self._waiting >= MAX_WAITING:
            raise PreviewQueueFullError("too many previews are being rendered; try again later")
        self._waiting += 1
        try:
            async with self._lock:
                return await self._cached(key, edge) or await self._render(descriptor, key, edge)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the worker."""
        await self._renderer.close()

    async def _cached(self, key: str, edge: int) -> bytes | None:
        if key in self._without_preview:
            raise NoPreviewError(self._without_preview[key])
        return await asyncio.to_thread(self._cache.get, key) if edge == SMALL_EDGE_PIXELS else None

    async def _render(self, descriptor: int, key: str, edge: int) -> bytes:
        try:
            body = await self._renderer.render(descriptor, edge)
        except NoPreviewError as reason:
            self._without_preview[key] = str(reason)
            if len(self._without_preview) > MAX_REMEMBERED_FAILURES:
                self._without_preview.popitem(last=False)
            raise
        if edge == SMALL_EDGE_PIXELS:
            await asyncio.to_thread(self._cache.put, key, body)
        return body
