"""The thread that reads, with a connection of its own, beside whoever writes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from syncd.store.connection import engine, translated
from syncd.store.errors import StoreError

T = TypeVar("T")


class Reader:
    """Reads the store's file at ``path``; the file is opened when it is needed.

    ``trouble`` says why the file at the path must not be opened, if there is a reason. One that is open is read on, as
    it was last.
    """

    def __init__(self, path: str, trouble: Callable[[], StoreError | None] = lambda: None) -> None:
        self._path = path
        self._trouble = trouble
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
                self._connection = self._open()
            with self._connection.begin():
                return work(self._connection)
        except DBAPIError as error:
            raise translated(error, self._path) from error

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
