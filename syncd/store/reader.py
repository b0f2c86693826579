"""The thread that reads, with a connection of its own, beside whoever writes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from syncd.store.connection import engine, translated

T = TypeVar("T")


class Reader:
    """Reads the store's file at ``path``; the file is opened when it is needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._connection: Connection | None = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the reader's thread, on one consistent state of the store; it can't write."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    async def close(self) -> None:
        """Finish what is being read, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = engine(self._path, writing=False).connect()
            with self._connection.begin():
                return work(self._connection)
        except DBAPIError as error:
            raise translated(error, self._path) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
