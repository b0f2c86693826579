"""Waiting for a condition, in a coroutine or in a test that blocks."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

POLL_INTERVAL_SECONDS = 0.02


async def wait_until(condition: Callable[[], Any], description: str = "", *, timeout: float = 30.0) -> Any:
    """Return the first true result of ``condition()``; fail after ``timeout`` seconds.

    ``condition`` can be a coroutine function.
    """
    result = None
    try:
        async with asyncio.timeout(timeout):
            while not result:
                result = condition()
                if asyncio.iscoroutine(result):
                    result = await result
                if not result:
                    await asyncio.sleep(POLL_INTERVAL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"after {timeout:g} s still not: {description or condition}") from None
    return result


def wait_until_sync(condition: Callable[[], Any], description: str | Callable[[], str], timeout: float = 120.0) -> Any:
    """Return the first true result of ``condition()``; fail after ``timeout`` seconds.

    For tests without an event loop, which wait for other processes.
    """
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"after {timeout:g} s still not: {description() if callable(description) else description}"
            )
        time.sleep(POLL_INTERVAL_SECONDS)
    return result
