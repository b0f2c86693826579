"""Waiting, in tests of a page."""

import asyncio
import inspect
import time

PATIENCE = 60.0


async def eventually(condition):
    """Wait until ``condition``, plain or asynchronous, says something true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        said = condition()
        if await said if inspect.isawaitable(said) else said:
            return
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)
