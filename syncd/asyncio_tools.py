"""Work that gives way to an end: the daemon's does not wait for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_until(event: asyncio.Event, coro: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``coro`` returns; give it up and return None if ``event`` is set first."""
    doing, waiting = asyncio.create_task(coro), asyncio.create_task(event.wait())
    try:
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        doing.cancel()
        waiting.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)
    return None if doing.cancelled() else doing.result()
