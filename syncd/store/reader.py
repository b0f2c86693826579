"""Runs read transactions in parallel to the writer.

They run in threads with their own connections.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
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
MAX_LONG_READS = 4
"""The number of :meth:`Reader.read_in_steps` at a time; while one runs, the store's log grows."""


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
        self._long_reads = asyncio.Semaphore(MAX_LONG_READS)
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

    async def read_in_steps(self, work: Callable[[Connection], Iterator[T]]) -> AsyncGenerator[T]:
        """Yield the results of ``work`` from one read-only transaction.

        The transaction lasts until the iteration ends. It has its own thread and connection, so that other reads
        continue. At most :data:`MAX_LONG_READS` run at a time; others wait.
        """
        loop = asyncio.get_running_loop()
        async with self._long_reads:
            thread, steps = ThreadPoolExecutor(1, thread_name_prefix="store-snapshot"), self._steps(work)
            try:
                while (step := await loop.run_in_executor(thread, next, steps, None)) is not None:
                    yield step
            finally:
                await loop.run_in_executor(thread, steps.close)
                thread.shutdown()

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

    def _steps(self, work: Callable[[Connection], Iterator[T]]) -> Generator[T]:
        try:
            with self._open() as connection, connection.begin():
                yield from work(connection)
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
