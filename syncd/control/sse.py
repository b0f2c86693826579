"""``GET /v1/events``: what the hub has to tell, as long as the client listens."""

import asyncio
import contextlib

from aiohttp import web

from syncd.control import params
from syncd.control.events import KINDS, Hub, Subscription

HEARTBEAT_SECONDS = 15.0
"""Seconds of silence after which a comment goes out, so that a listener who is gone is found out."""
WRITE_INTERVAL_SECONDS = 0.25
"""Seconds between two writes: in a rush, many events go out as one, so that many who look on cost little."""


def kinds_in(text: str | None) -> list[str]:
    """Return the kinds of events that ``text`` names, separated by commas; all for nothing."""
    return [params.among("only", kind, KINDS) for kind in text.split(",")] if text else list(KINDS)


async def tell(request: web.Request, hub: Hub, kinds: list[str]) -> web.StreamResponse:
    """Send events until the client goes or the daemon ends. Raises :class:`TooManyListenersError` before any output."""
    with hub.subscribe(kinds) as listener:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # a page that was closed is no error
            await response.write(b"retry: 1000\n\n")
            while request.transport is not None and (block := await _next(listener)):
                await response.write(block)
                await request.writer.drain()  # so that what is not read waits in the listener's queue, which is bounded
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
        return response


async def _next(listener: Subscription) -> bytes:
    """Return what is to be told, or a sign of life after a while, or nothing at the end."""
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await listener.take()
    except TimeoutError:
        return b":\n\n"
