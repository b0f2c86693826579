"""The stall timer: it counts while nothing moves, not while paused, and is silent once its block has ended."""

import asyncio

import pytest

from syncd.remotes.idle_timeout import IdleTimeout


async def test_it_ends_a_block_in_which_nothing_moves():
    with pytest.raises(TimeoutError):
        async with IdleTimeout(0.01):
            await asyncio.Event().wait()


async def test_what_is_said_after_the_end_does_nothing():
    async with IdleTimeout(60) as ended:
        pass
    late = IdleTimeout(0.01)

    async def wait() -> None:
        async with late:
            try:
                await asyncio.Event().wait()
            finally:
                late.restart()

    with pytest.raises(TimeoutError):
        await wait()
    for stall in (ended, late):
        stall.restart()
        stall.pause()


async def test_a_pause_lasts_until_something_moves():
    after_pause = False

    async def wait() -> None:
        nonlocal after_pause
        async with IdleTimeout(0.01) as stall:
            stall.pause()
            await asyncio.sleep(0.05)
            after_pause = True
            stall.restart()
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()
    assert after_pause
