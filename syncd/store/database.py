"""Two threads with a connection each: one writes, one reads.

Whoever wants to write hands over a small unit of work and awaits it. The writer takes all units that wait into one
transaction, so that a thousand files a second do not mean a thousand fsyncs, and answers when that is on the disk. A
disk that is full or fails for a while delays the answers and loses nothing. A file that is deleted or replaced does the
same until it is back: nothing is answered that is not in the file at the path.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from syncd.store import startup
from syncd.store.connection import engine, is_passing, translated
from syncd.store.errors import StoreClosedError, StoreMovedError
from syncd.store.reader import Reader
from syncd.store.store_file import OpenedFile

T = TypeVar("T")

MAX_BATCH_UNITS = 500
"""Units that go into one transaction at most."""
RETRY_DELAY_SECONDS = 1.0
"""Seconds until a batch that met a full disk is tried again."""
FILE_CHECK_INTERVAL_SECONDS = 5.0
"""Seconds between two looks for the file where there is nothing to write."""
WRITER_STUCK_SECONDS = 60.0
"""A batch that takes more seconds than this means that the disk hangs."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Unit:
    """UnitOfWork for a transaction, who waits for it, and what to do with the result once that is on the disk."""

    work: Callable[[Connection], Any]
    then: Callable[[Any], None] | None
    answer: asyncio.Future[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failed:
    """What a unit raised."""

    error: Exception


class Database:
    """The store's file. Made by :meth:`open`; belongs to the event loop that opened it."""

    def __init__(self, path: str, on_blocked: Callable[[str | None], None] | None, retry_delay: float) -> None:
        self.path = path
        self.engine = engine(path, writing=True)
        self._on_blocked = on_blocked
        self._retry_delay = retry_delay
        self._loop = asyncio.get_running_loop()
        self._units: deque[_Unit] = deque()
        self._changed = threading.Condition()  # guards the units and the flag
        self._closing = False
        self.blocked: str | None = None
        """Why writes wait, in one line; None if they do not."""
        self._file: OpenedFile | None = None
        self._busy_since: float | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._reader = Reader(path, self._moved)

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        on_blocked: Callable[[str | None], None] | None = None,
        retry_delay: float = RETRY_DELAY_SECONDS,
    ) -> "Database":
        """Open the file, made or migrated as needed; a ``StoreError`` if that can't be.

        ``on_blocked`` is called in the loop's thread, with one line when writing begins to wait for the disk, and with
        None when it goes on.
        """
        database = cls(path, on_blocked, retry_delay)
        database._writer.start()
        try:
            await database._opened
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def alive(self) -> bool:
        """Say whether the writer does its work or waits for some; to wait for a full disk counts as work."""
        since = self._busy_since
        return self._writer.is_alive() and (since is None or time.monotonic() - since < WRITER_STUCK_SECONDS)

    async def write(self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run ``work`` in the writer's thread; return its result when that is on the disk.

        ``then`` gets the result in the loop's thread, before the caller goes on, and even if the caller was cancelled
        meanwhile: the work is done all the same. What ``work`` raises undoes it alone. After an error of the disk it is
        run again, so it may change nothing but the store. ``StoreClosedError`` if it was not done.
        """
        unit = _Unit(work=work, then=then, answer=self._loop.create_future())
        with self._changed:
            if self._closing or self._ended.done():
                raise _closed()
            self._units.append(unit)
            self._changed.notify()
        result: T = await unit.answer
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the reader's thread, on one consistent state of the store; it can't write."""
        if self._closing:
            raise _closed()
        return await self._reader.read(work)

    async def close(self) -> None:
        """Finish what was handed over before, and close the file."""
        if not self._closing:
            with self._changed:
                self._closing = True
                self._changed.notify()
            await self._reader.close()
        await self._ended
        self._writer.join()

    # The writer's thread.

    def _write_all(self) -> None:
        try:
            startup.prepare(self.path)
            with self.engine.connect() as connection:
                self._file = OpenedFile(self.path)
                self._call(_resolve, self._opened, None)
                while batch := self._next_batch(connection):
                    self._call(_answer, self._loop, batch, self._write_batch(connection, batch))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._call(_resolve, self._opened, _Failed(error=translated(error, self.path)))
        finally:
            self._call(_resolve, self._ended, None)

    def _next_batch(self, connection: Connection) -> list[_Unit]:
        """Wait for units, and look for the file meanwhile; none means that the database is closed."""
        while True:
            with self._changed:
                self._busy_since = None
                if self._changed.wait_for(lambda: self._units or self._closing, FILE_CHECK_INTERVAL_SECONDS):
                    self._busy_since = time.monotonic()
                    return [self._units.popleft() for _ in range(min(MAX_BATCH_UNITS, len(self._units)))]
            self._heed(self._look(connection))

    def _write_batch(self, connection: Connection, batch: list[_Unit]) -> list[Any]:
        """Try until it works, or the database is closed; return the units' results."""
        while True:
            try:
                results = self._transact(connection, batch)
            except Exception as error:  # noqa: BLE001 - it goes to those who wait
                failure = translated(error, self.path)
                if not is_passing(error):
                    return [_Failed(error=failure)] * len(batch)
                if not self._outwait(str(failure)):
                    return [_Failed(error=_closed())] * len(batch)
            else:
                return results if self._is_kept(connection) else [_Failed(error=_closed())] * len(batch)

    def _is_kept(self, connection: Connection) -> bool:
        """Wait until what was committed is in the file at the path; False if it is not when the database is closed."""
        while moved := self._moved():
            if _checkpoint(connection) and not self._moved_file():
                return True  # only the log is gone, and nothing that was in it
            if not self._outwait(str(moved)):
                return False
        self._heed(None)
        return True

    def _look(self, connection: Connection) -> StoreMovedError | None:
        """Return what to say if the file or its log is not at its path any more.

        What the log holds goes into the file then, wherever that is: it is whole without the log when it is put back.
        """
        moved = self._moved()
        if moved:
            _checkpoint(connection)
        return moved

    def _moved(self) -> StoreMovedError | None:
        return self._moved_file() or (self._file.log_moved() if self._file else None)

    def _moved_file(self) -> StoreMovedError | None:
        return self._file.moved() if self._file else None

    def _outwait(self, message: str) -> bool:
        """Let some time pass; False if the database is being closed."""
        self._heed(message)
        with self._changed:
            closing = self._changed.wait_for(lambda: self._closing, self._retry_delay)
        self._busy_since = time.monotonic()
        return not closing

    def _heed(self, trouble: StoreMovedError | str | None) -> None:
        """Take note of why writes wait, or that they do not, and tell who asked for it when that begins and ends."""
        before, self.blocked = self.blocked, None if trouble is None else str(trouble)
        if (before is None) != (trouble is None):
            self._report(self.blocked)

    def _transact(self, connection: Connection, batch: list[_Unit]) -> list[Any]:
        if moved := self._look(connection):
            raise moved
        with connection.begin():
            return [self._run(connection, unit) for unit in batch]

    def _run(self, connection: Connection, unit: _Unit) -> Any:
        savepoint = connection.connection.cursor()  # several times faster than by way of SQLAlchemy
        savepoint.execute("SAVEPOINT unit")
        try:
            result = unit.work(connection)
        except Exception as error:
            if is_passing(error):
                raise
            savepoint.execute("ROLLBACK TO unit")
            result = _Failed(error=translated(error, self.path))
        savepoint.execute("RELEASE unit")
        return result

    def _report(self, blocked: str | None) -> None:
        if self._on_blocked is not None:
            self._call(self._on_blocked, blocked)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        """Have the loop call ``function``, unless the loop is gone."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)


def _checkpoint(connection: Connection) -> bool:
    """Put all that the log holds into the file that is open; say whether all of it is in there, and on the disk."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((busy, _, _),) = cursor.fetchall()
    except sqlite3.Error:
        return False
    finally:
        cursor.close()
    return bool(busy == 0)


# In the loop's thread.


def _answer(loop: asyncio.AbstractEventLoop, batch: list[_Unit], results: list[Any]) -> None:
    for unit, result in zip(batch, results, strict=True):
        if unit.then is not None and not isinstance(result, _Failed):
            loop.call_soon(unit.then, result)  # not called here, so that what one raises harms no other
        _resolve(unit.answer, result)


def _resolve(answer: asyncio.Future[Any], result: Any) -> None:
    if answer.done():  # cancelled
        return
    if isinstance(result, _Failed):
        answer.set_exception(result.error)
    else:
        answer.set_result(result)


def _closed() -> StoreClosedError:
    return StoreClosedError("the job store is closed")
