"""Provides asyncio helpers for tasks, periodic checks and batches.

A task ends with an event (:func:`run_until`), with a context (:func:`background_task`), or with the first failure of a
group (:func:`for_each`). Periodic checks wait :func:`until_next` their interval ends. :class:`Batcher` passes several
blocking calls to a thread at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

A = TypeVar("A")
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


async def wait_for_event(event: asyncio.Event, seconds: float | None) -> None:
    """Return when ``event`` is set, or after ``seconds``; None means no limit."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def in_batches(work: Callable[[Sequence[A]], Awaitable[list[T]]], items: Sequence[A], size: int) -> list[T]:
    """Call ``work`` with up to ``size`` items at a time.

    One call follows the other. Returns the results of all calls.
    """
    results: list[T] = []
    for start in range(0, len(items), size):
        results += await work(items[start : start + size])
    return results


def until_next(interval: float) -> float:
    """Return the seconds until the next multiple of ``interval`` on the loop's clock.

    Periodic checks that wait until then run together, so that an idle process wakes up less often. The result is at
    least a tenth of ``interval``, since a timer can fire a little early.
    """
    remaining = interval - asyncio.get_running_loop().time() % interval
    return remaining if remaining >= interval / 10 else remaining + interval


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


class Batcher(Generic[A, T]):
    """Runs short blocking calls in threads, in batches.

    Passing work to a thread costs more than a short call, so the calls of a batch share this cost.

    ``work`` gets the arguments of calls that wait at the same time, at most ``max_batch``, and returns the result or
    the exception of each. At most ``concurrency`` batches run at a time. ``discard`` gets the results whose caller was
    cancelled.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Sequence[T | Exception]],
        *,
        max_batch: int,
        concurrency: int = 1,
        executor: Executor | None = None,
        discard: Callable[[T], object] = lambda _: None,
    ) -> None:
        self._work = work
        self._max_batch = max_batch
        self._concurrency = concurrency
        self._executor = executor
        self._discard = discard
        self._running = 0
        self._waiting: deque[tuple[A, asyncio.Future[T]]] = deque()

    async def call(self, argument: A) -> T:
        """Return the result for ``argument``, or raise its exception."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((argument, answer))
        if self._running < self._concurrency:
            self._start()
        return await answer

    def _start(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
        loop = asyncio.get_running_loop()
        try:
            batch = loop.run_in_executor(self._executor, self._work, [argument for argument, _ in calls])
        except RuntimeError as error:  # the executor has been shut down
            self._answer(calls, [error] * len(calls))
            return
        self._running += 1
        batch.add_done_callback(lambda ended: self._ended(calls, ended))

    def _ended(self, calls: list[tuple[A, asyncio.Future[T]]], batch: asyncio.Future[Sequence[T | Exception]]) -> None:
        self._running -= 1
        if self._waiting:
            self._start()
        if batch.cancelled():
            self._answer(calls, [asyncio.CancelledError()] * len(calls))
        elif error := batch.exception():
            self._answer(calls, [error] * len(calls))
        else:
            self._answer(calls, batch.result())

    def _answer(self, calls: list[tuple[A, asyncio.Future[T]]], results: Sequence[T | BaseException]) -> None:
        for (_, answer), result in zip(calls, results, strict=True):
            if isinstance(result, BaseException):
                if not answer.done():
                    answer.set_exception(result)
            elif answer.done():  # its caller was cancelled
                self._discard(result)
            else:
                answer.set_result(result)
