"""Runs the writer thread and the reader thread, each with its own connection.

A caller passes a small unit of work and awaits its result. The writer combines all waiting units in one transaction, so
that a thousand files per second do not need a thousand fsyncs, and answers after the commit. While the disk is full or
failing, or while the file is deleted or replaced, the answers wait and nothing is lost: the writer only confirms what
is in the file at the path.

Other full disks: :mod:`syncd.receiver.storage_limits` for the uploads of a receiver, and
:mod:`syncd.daemon.dashboard_uploads` for a file that the dashboard saves into a watched folder.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection

from syncd.store import search, startup
from syncd.store.connection import engine, is_temporary, set_durable, to_store_error
from syncd.store.errors import StoreClosedError, StoreMovedError
from syncd.store.reader import Reader
from syncd.store.store_file import OpenedFile
from syncd.store.write_queue import Failed, WriteCall, WriteQueue, answer_all, resolve

A = TypeVar("A")
T = TypeVar("T")

RETRY_DELAY_SECONDS = 1.0
"""The delay before a batch is tried again that failed because of the disk."""
FILE_CHECK_INTERVAL_SECONDS = 5.0
"""How often the idle writer checks that the file is still at its path."""
WRITER_STUCK_SECONDS = 60.0
"""If a batch takes longer than this, the disk hangs and the writer counts as stuck."""


class Database:
    """The store's file.

    Create it with :meth:`open`; it belongs to the event loop that opened it.
    """

    def __init__(self, path: str, on_blocked: Callable[[str | None], None] | None, retry_delay: float) -> None:
        self.path = path
        self.engine = engine(path, writing=True)
        self._on_blocked = on_blocked
        self._retry_delay = retry_delay
        self._loop = asyncio.get_running_loop()
        self._queue = WriteQueue()
        self.blocked: str | None = None
        """Why writes are waiting, in one line; None if they are not."""
        self._file: OpenedFile | None = None
        self._busy_since: float | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._reader = Reader(path, self._location_error)

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        on_blocked: Callable[[str | None], None] | None = None,
        retry_delay: float = RETRY_DELAY_SECONDS,
    ) -> "Database":
        """Open the file; create or migrate it if necessary. Raises ``StoreError`` if that fails.

        ``on_blocked`` is called in the loop's thread, with the reason in one line when writes start to wait for the
        disk, and with None when they continue.
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
        """Return False if the writer has died or is stuck.

        A writer that waits for calls, or for space on a full disk, is alive.
        """
        since = self._busy_since
        return self._writer.is_alive() and (since is None or time.monotonic() - since < WRITER_STUCK_SECONDS)

    async def write(
        self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None, *, durable: bool = True
    ) -> T:
        """Run ``work`` in the writer's thread; return its result after the commit.

        ``then`` receives the result in the loop's thread before the caller continues, even if the caller was cancelled:
        the work is carried out anyway. An exception in ``work`` rolls back this work only. After an error of the disk
        ``work`` runs again, so it must not change anything but the store. Raises ``StoreClosedError`` if the database
        was closed before.

        Pass ``durable=False`` if the next start repeats the write should a power cut undo it: the commit then does not
        wait for the disk, unless it has other writes too.
        """
        return await self.write_together(lambda connection, _: [work(connection)], None, then, durable=durable)

    async def write_together(
        self,
        work: Callable[[Connection, Sequence[A]], Sequence[T]],
        argument: A,
        then: Callable[[T], None] | None = None,
        *,
        patient: bool = False,
        durable: bool = True,
    ) -> T:
        """Run ``work`` once for several waiting calls, in a write transaction.

        ``work`` gets the arguments of consecutive calls with the same ``work``, and returns a result for each. If it
        raises an exception, it runs again for each argument alone, so that only the calls that cause the exception get
        it. Under load, a ``patient`` call waits shortly for others. Everything else is as in :meth:`write`.
        """
        answer: asyncio.Future[T] = self._loop.create_future()
        call = WriteCall(work=work, argument=argument, then=then, answer=answer, patient=patient, durable=durable)
        if self._ended.done() or not self._queue.put(call):
            raise _closed()
        return await answer

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the reader's thread in one read-only transaction."""
        if self._queue.closed:
            raise _closed()
        return await self._reader.read(work)

    async def read_together(self, work: Callable[[Connection, Sequence[A]], Sequence[T]], argument: A) -> T:
        """Run ``work`` once for several waiting calls, in a read-only transaction.

        ``work`` gets the arguments of waiting calls with the same ``work``, and returns a result for each.
        """
        if self._queue.closed:
            raise _closed()
        return await self._reader.read_together(work, argument)

    def read_in_steps(self, work: Callable[[Connection], Iterator[T]]) -> AsyncGenerator[T]:
        """Yield the results of ``work`` as :meth:`Reader.read_in_steps` does."""
        if self._queue.closed:
            raise _closed()
        return self._reader.read_in_steps(work)

    async def close(self) -> None:
        """Finish all earlier calls, and close the file."""
        if not self._queue.closed:
            self._queue.close()
            await self._reader.close()
        await self._ended
        self._writer.join()

    # The writer's thread.

    def _write_all(self) -> None:
        try:
            startup.prepare(self.path)
            with self.engine.connect() as connection:
                self._file = OpenedFile(self.path)
                search.prepare(connection)
                self._call(resolve, self._opened, None)
                while batch := self._next_batch(connection):
                    self._call(answer_all, self._loop, batch, self._write_batch(connection, batch))
        except Exception as error:  # noqa: BLE001 - the caller of open() gets it, whatever it is
            self._call(resolve, self._opened, Failed(error=to_store_error(error, self.path)))
        finally:
            self._call(resolve, self._ended, None)

    def _next_batch(self, connection: Connection) -> list[WriteCall]:
        """Wait for calls and check the file regularly.

        Return an empty list when the database is closed.
        """
        while True:
            self._busy_since = None
            batch = self._queue.take(FILE_CHECK_INTERVAL_SECONDS)
            if batch is not None:
                self._busy_since = time.monotonic()
                return batch
            self._set_blocked(self._check_location(connection))

    def _write_batch(self, connection: Connection, batch: list[WriteCall]) -> list[Any]:
        """Retry until the commit succeeds or the database is closed.

        Return the results of the calls.
        """
        while True:
            try:
                results = self._transact(connection, batch)
            except Exception as error:  # noqa: BLE001 - the callers get it
                failure = to_store_error(error, self.path)
                if not is_temporary(error):
                    return [Failed(error=failure)] * len(batch)
                if not self._wait_to_retry(str(failure)):
                    return [Failed(error=_closed())] * len(batch)
            else:
                return results if self._wait_until_kept(connection) else [Failed(error=_closed())] * len(batch)

    def _wait_until_kept(self, connection: Connection) -> bool:
        """Wait until the commit is in the file at the path.

        Return False if the database is closed before.
        """
        while error := self._location_error():
            if _checkpoint(connection) and not self._file_error():
                return True  # only the log is gone, and its content is in the file
            if not self._wait_to_retry(str(error)):
                return False
        self._set_blocked(None)
        return True

    def _check_location(self, connection: Connection) -> StoreMovedError | None:
        """Return an error if the file or its log is no longer at its path.

        In this case the log is written into the open file, wherever that is now, so the file is complete when the user
        puts it back without the log.
        """
        error = self._location_error()
        if error:
            _checkpoint(connection)
        return error

    def _location_error(self) -> StoreMovedError | None:
        return self._file_error() or (self._file.log_error() if self._file else None)

    def _file_error(self) -> StoreMovedError | None:
        return self._file.file_error() if self._file else None

    def _wait_to_retry(self, message: str) -> bool:
        """Wait for the retry delay; return False if the database is being closed."""
        self._set_blocked(message)
        closed = self._queue.wait_closed(self._retry_delay)
        self._busy_since = time.monotonic()
        return not closed

    def _set_blocked(self, reason: StoreMovedError | str | None) -> None:
        """Set the reason why writes are waiting; report when the waiting starts or ends."""
        before, self.blocked = self.blocked, None if reason is None else str(reason)
        if (before is None) != (reason is None):
            self._report(self.blocked)

    def _transact(self, connection: Connection, batch: list[WriteCall]) -> list[Any]:
        if error := self._check_location(connection):
            raise error
        set_durable(connection, any(call.durable for call in batch))
        with connection.begin():
            return [
                result
                for _, calls in groupby(batch, key=attrgetter("work"))
                for result in self._run(connection, list(calls))
            ]

    def _run(self, connection: Connection, calls: list[WriteCall]) -> Sequence[Any]:
        """Run the common work of ``calls``; return a result for each."""
        savepoint = connection.connection.cursor()  # several times faster than through SQLAlchemy
        savepoint.execute("SAVEPOINT unit")
        try:
            results = calls[0].work(connection, [call.argument for call in calls])
        except Exception as error:
            if is_temporary(error):
                raise
            savepoint.execute("ROLLBACK TO unit")
            results = [Failed(error=to_store_error(error, self.path))]
        savepoint.execute("RELEASE unit")
        if len(calls) > 1 and isinstance(results[0], Failed):
            return [result for call in calls for result in self._run(connection, [call])]
        return results

    def _report(self, blocked: str | None) -> None:
        if self._on_blocked is not None:
            self._call(self._on_blocked, blocked)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        """Call ``function`` in the loop's thread, unless the loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)


def _checkpoint(connection: Connection) -> bool:
    """Write the whole log into the open file; return True if all of it is on the disk."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((busy, _, _),) = cursor.fetchall()
    except sqlite3.Error:
        return False
    finally:
        cursor.close()
    return bool(busy == 0)


def _closed() -> StoreClosedError:
    return StoreClosedError("the job store is closed")
