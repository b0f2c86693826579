"""Runs read transactions in a thread with its own connection, in parallel to the writer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from syncd.asyncio_tools import Batcher
from syncd.store.connection import engine, to_store_error
from syncd.store.errors import StoreError

A = TypeVar("A")
T = TypeVar("T")

MAX_BATCH_READS = 200


class Reader:
    """Reads the store's file at ``path``; opens it at the first read.

    ``trouble`` returns the reason why the file at the path must not be opened now, if there is one. A file that is
    already open stays readable.
    """

    def __init__(self, path: str, trouble: Callable[[], StoreError | None] = lambda: None) -> None:
        self._path = path
        self._trouble = trouble
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._connection: Connection | None = None
        self._batchers: dict[Callable[..., Any], Batcher[Any, Any]] = {}

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the reader's thread in one read-only transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    async def read_together(self, work: Callable[[Connection, Sequence[A]], Sequence[T]], argument: A) -> T:
        """Run ``work`` once for several waiting calls, in one read-only transaction.

        ``work`` gets the arguments of the calls with the same ``work`` that wait for the thread, at most
        ``MAX_BATCH_READS``, and returns a result for each.
        """
        batcher = self._batchers.get(work)
        if batcher is None:
            batcher = self._batchers[work] = Batcher(
                lambda arguments: self._read(lambda connection: work(connection, arguments)),
                max_batch=MAX_BATCH_READS,
                executor=self._thread,
            )
        return cast("T", await batcher.call(argument))

    async def close(self) -> None:
        """Wait for the running reads, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._open()
            with self._connection.begin():
                return work(self._connection)
        except DBAPIError as error:
            raise to_store_error(error, self._path) from error

    def _open(self) -> Connection:
        if trouble := self._trouble():
            raise trouble
        connection = engine(self._path, writing=False).connect()
        if trouble := self._trouble():
            connection.close()
            raise trouble
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
