"""Two threads with a connection each: one writes, one reads.

Whoever wants to write hands over a small unit of work and awaits it. The writer takes all units that wait into one
transaction, so that a thousand files a second do not mean a thousand fsyncs, and answers when that is on the disk. A
disk that is full or fails for a while delays the answers and loses nothing.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from syncd.store import opening
from syncd.store.connection import engine, is_passing, translated
from syncd.store.errors import StoreClosed
from syncd.store.reader import Reader

T = TypeVar("T")

BATCH = 500
"""Units that go into one transaction at most."""
RETRY_DELAY = 1.0
"""Seconds until a batch that met a full disk is tried again."""
STUCK = 60.0
"""A batch that takes more seconds than this means that the disk hangs."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Unit:
    """Work for a transaction, who waits for it, and what to do with the result once that is on the disk."""

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
        self._blocked = False
        self._busy_since: float | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._reader = Reader(path)

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        on_blocked: Callable[[str | None], None] | None = None,
        retry_delay: float = RETRY_DELAY,
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
        return self._writer.is_alive() and (since is None or time.monotonic() - since < STUCK)

    async def write(self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None) -> T:
        """Run ``work`` in the writer's thread; return its result when that is on the disk.

        ``then`` gets the result in the loop's thread, before the caller goes on, and even if the caller was cancelled
        meanwhile: the work is done all the same. What ``work`` raises undoes it alone. After an error of the disk it is
        run again, so it may change nothing but the store. ``StoreClosed`` if it was not done.
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
            opening.prepare(self.path)
            with self.engine.connect() as connection:
                self._call(_resolve, self._opened, None)
                while batch := self._next_batch():
                    self._call(_answer, self._loop, batch, self._write_batch(connection, batch))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._call(_resolve, self._opened, _Failed(error=translated(error, self.path)))
        finally:
            self._call(_resolve, self._ended, None)

    def _next_batch(self) -> list[_Unit]:
        """Wait for units; none means that the database is closed."""
        with self._changed:
            self._busy_since = None
            self._changed.wait_for(lambda: self._units or self._closing)
            self._busy_since = time.monotonic()
            return [self._units.popleft() for _ in range(min(BATCH, len(self._units)))]

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
                if self._blocked:
                    self._blocked = False
                    self._report(None)
                return results

    def _outwait(self, message: str) -> bool:
        """Let some time pass; False if the database is being closed."""
        if not self._blocked:
            self._blocked = True
            self._report(message)
        with self._changed:
            closing = self._changed.wait_for(lambda: self._closing, self._retry_delay)
        self._busy_since = time.monotonic()
        return not closing

    def _transact(self, connection: Connection, batch: list[_Unit]) -> list[Any]:
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


def _closed() -> StoreClosed:
    return StoreClosed("the job store is closed")
