"""Queues the calls for the writer, and delivers their results.

The writer is a thread of :mod:`~syncd.store.database`. The results are delivered in the thread of the event loop.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

MAX_BATCH_CALLS = 500
"""The maximum number of calls in one transaction."""
GATHER_SECONDS = 0.02
"""How long patient calls wait for others under load: a transaction of one call costs as much as one of ten."""
LOAD_SECONDS, LOAD_CALLS = 0.5, 40
"""The writer is under load if about ``LOAD_CALLS`` calls came in the last ``LOAD_SECONDS``."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WriteCall:
    """A call: its argument for ``work``, a callback after the commit, and the caller's result.

    A ``patient`` call may wait for others, to share their transaction. The writes of a call that is not ``durable`` may
    get lost in a power cut: the next start repeats them.
    """

    work: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    argument: Any
    then: Callable[[Any], None] | None
    answer: asyncio.Future[Any]
    patient: bool = False
    durable: bool = True


class WriteQueue:
    """The calls that wait for the writer, in order. All methods may be called in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the attributes below
        self._calls: deque[WriteCall] = deque()
        self._urgent = False
        """Whether a call waits that is not patient."""
        self._load = 0.0
        """The number of recent calls; the weight of a call declines exponentially over ``LOAD_SECONDS``."""
        self._load_at = time.monotonic()
        self.closed = False

    def put(self, call: WriteCall) -> bool:
        """Append a call; return False if the queue is closed."""
        with self._changed:
            if self.closed:
                return False
            self._calls.append(call)
            self._urgent |= not call.patient
            if self._urgent or len(self._calls) == 1:
                self._changed.notify()
        return True

    def take(self, timeout: float) -> list[WriteCall] | None:
        """Wait for calls and remove them; an empty list when the queue is closed and empty.

        Return None after ``timeout`` seconds without a call.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._calls or self.closed, timeout):
                return None
            if self._is_under_load():
                self._changed.wait_for(lambda: self._urgent or self.closed, GATHER_SECONDS)
            batch = [self._calls.popleft() for _ in range(min(MAX_BATCH_CALLS, len(self._calls)))]
            self._urgent = bool(self._calls)
            self._load += len(batch)
            return batch

    def _is_under_load(self) -> bool:
        now = time.monotonic()
        self._load *= math.exp((self._load_at - now) / LOAD_SECONDS)
        self._load_at = now
        return self._load >= LOAD_CALLS

    def close(self) -> None:
        """Accept no further call."""
        with self._changed:
            self.closed = True
            self._changed.notify()

    def wait_closed(self, timeout: float) -> bool:
        """Wait for :meth:`close`, ``timeout`` seconds at most; return whether the queue is closed."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self.closed, timeout))


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The exception that a call raised."""

    error: Exception


def answer_all(loop: asyncio.AbstractEventLoop, batch: list[WriteCall], results: list[Any]) -> None:
    """Give each call its result, after its callback. Runs in the loop's thread."""
    for call, result in zip(batch, results, strict=True):
        if call.then is not None and not isinstance(result, Failed):
            loop.call_soon(call.then, result)  # not called directly, so that an exception does not affect other calls
        resolve(call.answer, result)


def resolve(answer: asyncio.Future[Any], result: Any) -> None:
    """Set the result or the exception of a future, unless it was cancelled.

    Runs in the loop's thread. A result of type :class:`Failed` holds the exception.
    """
    if answer.done():  # cancelled
        return
    if isinstance(result, Failed):
        answer.set_exception(result.error)
    else:
        answer.set_result(result)
