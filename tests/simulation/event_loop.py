"""An event loop whose clock jumps: a day of backoff takes milliseconds.

Simulated time stands still while anything is ready to run (callbacks, sockets of this process, working threads), and
then jumps to the next timer.
"""

import asyncio
import selectors
from collections.abc import Coroutine


class StuckError(AssertionError):
    """The test waits, but no callback, timer or thread can wake it."""


class _Selector(selectors.DefaultSelector):
    loop: "SimulatedLoop"

    def select(self, timeout=None):
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.loop.threads_at_work:
            return super().select(5)  # ends as soon as a thread reports
        if events := super().select(0.0005):  # data in the kernel's loopback
            return events
        if timeout is None:
            if events := super().select(5):  # a thread that the loop does not count
                return events
            raise StuckError("all tasks wait, and nothing will wake them")
        self.loop.now += timeout
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """``now`` is the time in seconds; ``threads_at_work`` counts the calls in threads."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        selector = selector or _Selector()
        super().__init__(selector)
        selector.loop = self
        self.now = 1000.0
        self.threads_at_work = 0

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor, func, *args):
        self.threads_at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _):
        self.threads_at_work -= 1

    async def shutdown_default_executor(self, *timeout):
        """Stop the clock until the threads have ended: since 3.12 asyncio waits with a timeout."""
        await self.counted(super().shutdown_default_executor)(*timeout)

    def counted(self, asynchronous):
        """Wrap a coroutine function whose result comes from a thread unknown to the loop."""

        async def call(*args, **kwargs):
            self.threads_at_work += 1
            try:
                return await asynchronous(*args, **kwargs)
            finally:
                self.threads_at_work -= 1

        return call


def simulated(work: Coroutine):
    """Run ``work`` to its end in simulated time; return its result."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)
