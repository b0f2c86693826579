"""The asynchronous interface of the store.

:class:`JobStore` runs the functions of the other modules in the threads of :class:`~syncd.store.database.Database`. The
functions themselves document arguments and results. A write has reached the disk when its call returns. A cancelled
call may still be carried out.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial, wraps
from operator import itemgetter
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from syncd.asyncio_tools import in_batches
from syncd.core.model import Stored
from syncd.core.states import Outcome, State
from syncd.store import (
    cancellations,
    claim_order,
    claims,
    content_records,
    copies,
    files,
    pages,
    queries,
    recorded_files,
    remotes,
    removals,
    unreadable_files,
    uploads,
    user_actions,
)
from syncd.store.database import Database
from syncd.store.records import Change, Job, JobFilter, JobRecord, Page
from syncd.store.transitions import UnitOfWork

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


def _writes(
    function: Callable[Concatenate[UnitOfWork, P], T], *, durable: bool = True
) -> Callable[Concatenate["JobStore", P], Coroutine[Any, Any, T]]:
    """Return the method that passes ``function`` to :meth:`Database.write`."""

    @wraps(function)
    async def method(self: "JobStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._write(lambda work: function(work, *args, **kwargs), durable=durable)

    return method


def _reads(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate["JobStore", P], Coroutine[Any, Any, T]]:
    """Return the method of :class:`JobStore` that runs ``function`` in a read transaction."""

    @wraps(function)
    async def method(self: "JobStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.read(lambda connection: function(connection, *args, **kwargs))

    return method


def _reads_together(
    function: Callable[[Connection, Sequence[A]], Sequence[T]],
) -> Callable[["JobStore", A], Coroutine[Any, Any, T]]:
    """Return the method of :class:`JobStore` that runs ``function`` in batches.

    ``function`` gets the arguments of several waiting calls, in a read transaction, and returns a result for each.
    """

    async def method(self: "JobStore", argument: A, /) -> T:
        return await self.database.read_together(function, argument)

    return method


class ChangeBus:
    """Calls its listeners with each change, those with a lower ``order`` first."""

    def __init__(self) -> None:
        self._listeners: list[tuple[int, Callable[[Change], None]]] = []

    def subscribe(self, listener: Callable[[Change], None], *, order: int = sys.maxsize) -> None:
        """Add a listener; among equal orders, the first added is called first."""
        self._listeners.append((order, listener))
        self._listeners.sort(key=itemgetter(0))

    def unsubscribe(self, listener: Callable[[Change], None]) -> None:
        """Remove a listener."""
        self._listeners = [entry for entry in self._listeners if entry[1] != listener]

    def publish(self, change: Change) -> None:
        """Call all listeners."""
        for _, listener in self._listeners:
            listener(change)


class JobStore:
    """Files, jobs, sessions, contents and settings of the daemon.

    Create it with :meth:`open`. It belongs to the event loop that opened it. All calls raise ``StoreClosedError`` after
    :meth:`close`. ``clock`` returns seconds since the epoch. The listeners of ``changes`` are called in the loop's
    thread with each :class:`Change` after the commit and before the call that caused the change returns.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.changes = ChangeBus()
        self._clock = clock

    @classmethod
    async def open(
        cls, path: str, *, clock: Callable[[], float], on_blocked: Callable[[str | None], None] | None = None
    ) -> "JobStore":
        """Open the file; create or migrate it if necessary. Raises ``StoreError`` if that fails.

        ``on_blocked`` receives the reason in one line when writes start to wait, and None when they continue.
        """
        return cls(await Database.open(path, on_blocked=on_blocked), clock)

    async def close(self) -> None:
        """Finish all earlier calls, and close the file."""
        await self.database.close()

    @property
    def alive(self) -> bool:
        """Return False if the writer is stuck; for a watchdog."""
        return self.database.alive

    @property
    def blocked(self) -> str | None:
        """Return why writes are waiting, in one line; None if they are not."""
        return self.database.blocked

    # Remotes and settings.

    register_remote = _writes(remotes.register_remote)
    apply_terms = _writes(remotes.apply_terms)
    save_capabilities = _writes(remotes.save_capabilities)
    get_setting = _reads(remotes.get_setting)
    set_setting = _writes(remotes.set_setting)

    # Files, as the watches find them.

    diff = _reads(files.diff)
    observe = _writes(files.observe, durable=False)  # the first scan finds the difference again
    mark_files_gone = _writes(files.mark_files_gone)
    paths = _reads(files.paths)
    recorded_page = _reads(recorded_files.recorded_page)

    # Claims and their results.

    claim = _writes(claims.claim, durable=False)  # a start ends all claims
    renew = _writes(claims.renew, durable=False)
    recover = _writes(claims.recover)
    defer = _writes(claims.defer)
    release = _writes(claims.release)
    refuse = _writes(claims.refuse)
    skip = _writes(claims.skip)
    mark_gone = _writes(claims.mark_gone)
    cancel_again = _writes(cancellations.cancel_again)
    set_content_key = _writes(claims.set_content_key)
    wake = _writes(claims.wake)
    shift_due_times = _writes(claims.shift_due_times)

    async def finish(
        self,
        job: Job,
        *,
        key: str,
        stored: Stored,
        outcome: Outcome,
        sha256: str | None = None,
        terms: str = "",
        expires: bool = False,
    ) -> State | None:
        """Record that the remote has a job's content; return the new state of the job.

        Waiting calls are recorded together. Returns None if the claim of the job has ended before.
        """
        finished = claims.Finished(
            job=job, key=key, stored=stored, outcome=outcome, sha256=sha256, terms=terms, expires=expires
        )
        state, _ = await self.database.write_together(self._finish_all, finished, self._publish, patient=True)
        return state

    def _finish_all(
        self, connection: Connection, finished: Sequence[claims.Finished]
    ) -> Sequence[tuple[State | None, list[Change]]]:
        work = UnitOfWork(connection=connection, now=self._clock())
        states = claims.finish_all(work, finished)
        # The changes are published with the first result, before any of the callers continues.
        return [(state, work.changes if number == 0 else []) for number, state in enumerate(states)]

    async def next_due(self, remote_id: int) -> float | None:
        """Return when the next job of a remote is due; None if no job is pending."""
        now = self._clock()
        return await self.database.read(lambda connection: claim_order.next_due(connection, remote_id, now))

    # Upload sessions and contents. Acknowledgements that wait are written together.

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        """Record that the server has chunk ``index``, if the session has this ``token``."""
        chunk = uploads.Acknowledgement(remote_id=remote_id, key=key, token=token, index=index)
        await self.database.write_together(uploads.acknowledge_all, chunk, patient=True)

    save_session = _writes(uploads.save_session)
    require_verification = _writes(uploads.require_verification)
    drop_session = _writes(uploads.drop_session)
    expire_sessions = _writes(uploads.expire_sessions)
    content_records = _reads_together(content_records.look_up)
    confirm = _writes(uploads.confirm)
    forget_content = _writes(uploads.forget_content)

    # Queries of the control API.

    job = _reads(queries.job)
    jobs_of = _reads(queries.jobs_of)
    history = _reads(queries.history)
    counts = _reads(queries.counts)
    files_count = _reads(queries.files_count)
    page = _reads(pages.page)
    ids_in_states = _reads(queries.ids_in_states)
    ids_below = _reads(queries.ids_below)
    copies_of = _reads(copies.copies_of)

    async def jobs(self, remote_ids: Sequence[int], *, state: State | None = None, limit: int = 50) -> list[JobRecord]:
        """Return up to ``limit`` jobs in ``state``, the last changed first."""
        return (await self.page(JobFilter(remote_ids=remote_ids, states=(state,) if state else (), limit=limit))).jobs

    def snapshot(self, query: JobFilter) -> AsyncGenerator[Page]:
        """Yield the jobs that ``query`` selects, at one moment, page by page."""
        return self.database.read_in_steps(lambda connection: pages.snapshot(connection, query))

    async def unfinished(self, remote_ids: Sequence[int]) -> int:
        """Return the number of unfinished jobs of remotes."""
        return (await self.counts(remote_ids)).pending

    # Commands of the user.

    _cancel = _writes(user_actions.cancel)
    repair = _writes(user_actions.repair)
    _retry = _writes(user_actions.retry)
    _retry_some_failed = _writes(user_actions.retry_some_failed)

    async def retry(self, job_ids: Sequence[int] | None = None, *, backlog: bool = False) -> list[int]:
        """Queue waiting, failed or skipped jobs again; return their ids.

        ``backlog`` queues them as a backlog, not as new files. Their contents no longer count as cancelled. ``None``
        means all failed jobs, as a backlog.
        """
        if job_ids is not None:
            return await in_batches(partial(self._retry, backlog=backlog), job_ids, user_actions.BATCH_JOBS)
        queued: list[int] = []
        while more := await self._retry_some_failed():
            queued += more
        return queued

    async def cancel(self, job_ids: Sequence[int]) -> list[int]:
        """Cancel unfinished jobs, also uploading ones, and failed jobs; return their ids."""
        return await in_batches(self._cancel, job_ids, user_actions.BATCH_JOBS)

    # Files that cannot be read.

    mark_unreadable = _writes(unreadable_files.mark_unreadable)
    unreadable_jobs = _reads(unreadable_files.unreadable_jobs)
    unreadable_among = _reads(unreadable_files.unreadable_among)
    requeue_readable = _writes(unreadable_files.requeue_readable)

    # Contents that the user cancelled.

    cancelled_alike = _reads(cancellations.cancelled_alike)
    cancelled_unhashed = _reads(cancellations.cancelled_unhashed)
    save_cancelled_content = _writes(cancellations.save_cancelled_content)

    # Removal of files after their upload.

    uploaded = _reads(removals.uploaded)
    uploaded_count = _reads(removals.uploaded_count)
    begin_removals = _writes(removals.begin_removals)
    end_removals = _writes(removals.end_removals)
    pending_removals = _reads(removals.pending_removals)
    requeue_altered = _writes(files.requeue_altered)

    async def _write(self, function: Callable[[UnitOfWork], T], *, durable: bool) -> T:
        def transact(connection: Connection) -> tuple[T, list[Change]]:
            work = UnitOfWork(connection=connection, now=self._clock())
            return function(work), work.changes

        result, _ = await self.database.write(transact, self._publish, durable=durable)
        return result

    def _publish(self, committed: tuple[object, list[Change]]) -> None:
        for change in committed[1]:
            self.changes.publish(change)
