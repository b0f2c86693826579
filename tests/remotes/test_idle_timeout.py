"""Test that the idle timeout ends a block without progress, except during a pause."""

import asyncio

import pytest

from syncd.remotes.idle_timeout import IdleTimeout


async def test_idle_timeout_without_progress_raises():
    with pytest.raises(TimeoutError):
        async with IdleTimeout(0.01):
            await asyncio.Event().wait()


async def test_idle_timeout_ignores_calls_after_end():
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
    for idle_timeout in (ended, late):
        idle_timeout.restart()
        idle_timeout.pause()


async def test_idle_timeout_pause_lasts_until_restart():
    after_pause = False

    async def wait() -> None:
        nonlocal after_pause
        async with IdleTimeout(0.01) as idle_timeout:
            idle_timeout.pause()
            await asyncio.sleep(0.05)
            after_pause = True
            idle_timeout.restart()
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()
    assert after_pause
