"""Work that gives way to an end: the daemon's does not wait for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(over: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` returns; give it up and return None if ``over`` is set first."""
    doing, waiting = asyncio.create_task(work), asyncio.create_task(over.wait())
    try:
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        doing.cancel()
        waiting.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)
    return None if doing.cancelled() else doing.result()
