"""Defines the calls that wait for the writer, and delivers their results.

The writer is a thread of :mod:`~syncd.store.database`. The results are delivered in the thread of the event loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WriteCall:
    """A call: its argument for ``work``, a callback after the commit, and the caller's result."""

    work: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    argument: Any
    then: Callable[[Any], None] | None
    answer: asyncio.Future[Any]


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
