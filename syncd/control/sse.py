"""Sends the events of the hub to one client as server-sent events."""

import asyncio
import contextlib
from collections.abc import Collection

from aiohttp import web

from syncd.control.events import Hub, Subscription

HEARTBEAT_SECONDS = 15.0
"""The time without events until a comment is sent, which detects a closed client."""
WRITE_INTERVAL_SECONDS = 0.25
"""The time between two writes: one write carries all events of a burst, so that many listeners cost little."""


async def send_events(request: web.Request, hub: Hub, kinds: Collection[str]) -> web.StreamResponse:
    """Send events until the client or the daemon closes the stream.

    Raises :class:`TooManyListenersError` before any output.
    """
    with hub.subscribe(kinds) as subscription:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client has closed the stream
            await response.write(b"retry: 1000\n\n")
            while request.transport is not None and (block := await _next_block(subscription)):
                await response.write(block)
                await request.writer.drain()  # unread events must wait in the subscription, which is bounded
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
        return response


async def _next_block(subscription: Subscription) -> bytes:
    """Return the next events, or a comment if none arrive, or empty at the end."""
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await subscription.next_batch()
    except TimeoutError:
        return b":\n\n"
