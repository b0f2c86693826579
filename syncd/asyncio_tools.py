"""Helpers for asyncio tasks that must end with an event, a context or a failed sibling."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel ``tasks`` and wait for their end; their results and errors are ignored."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_until(event: asyncio.Event, coro: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of ``coro``; None, after cancelling it, if ``event`` is set first."""
    work, waiter = asyncio.create_task(coro), asyncio.create_task(event.wait())
    try:
        await asyncio.wait((work, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_and_wait(work, waiter)
    return None if work.cancelled() else work.result()


@asynccontextmanager
async def background_task(
    coro: Coroutine[Any, Any, None],
    *,
    failed: Callable[[BaseException], None] | None = None,
    name: str | None = None,
) -> AsyncGenerator[None]:
    """Run ``coro`` as a task during the context, and cancel it at the end.

    ``failed`` is called with the exception if ``coro`` raises; without it the exception is ignored.
    """
    task = asyncio.create_task(coro, name=name)
    if failed is not None:
        task.add_done_callback(on_failure(failed))
    try:
        yield
    finally:
        await cancel_and_wait(task)


def on_failure(failed: Callable[[BaseException], None]) -> Callable[[asyncio.Task[Any]], None]:
    """Return a done callback that passes a task's exception, if any, to ``failed``."""

    def check(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()):
            failed(error)

    return check


async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
    """Return when ``event`` is set, after ``seconds`` at the latest."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def for_each(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], *, limit: int) -> None:
    """Await ``work(item)`` for all ``items``, up to ``limit`` at a time.

    The first error cancels the rest and is raised.
    """
    slots = asyncio.Semaphore(limit)

    async def run(item: T) -> None:
        try:
            await work(item)
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await slots.acquire()
                group.create_task(run(item))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
