"""The door to the store: all that the daemon may ask of it, asynchronously.

Every write is on the disk when its call returns; no call depends on another that has not returned. A call that is
cancelled may still be carried out.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from syncd.core.model import FormerIdentity, FoundFile, Proof, Session, Stored
from syncd.core.states import Cause, Outcome, State
from syncd.paths import inside
from syncd.store import cancellations, claims, copies, files, pages, queries, removals, uploads
from syncd.store.copies import Copy
from syncd.store.database import Database
from syncd.store.files import IsGone
from syncd.store.pages import JobFilter, Page
from syncd.store.records import (
    CancelledJob,
    Change,
    Counts,
    HistoryEntry,
    Job,
    JobRecord,
    RemoteRecord,
    Removal,
    StoredContent,
    UploadedFile,
)
from syncd.store.transitions import UnitOfWork

__all__ = ["Change", "Counts", "HistoryEntry", "Job", "JobFilter", "JobRecord", "JobStore", "Page", "RemoteRecord"]

T = TypeVar("T")

RETRY_BATCH_JOBS = 5000
"""Jobs that one write retries, so that others get their turn between."""


class JobStore:
    """The memory of the daemon. Made by :meth:`open`; belongs to the event loop that opened it.

    Any call raises ``StoreClosedError`` after :meth:`close`. ``clock`` gives seconds since the epoch.
    ``on_change`` are called in the loop's thread with each :class:`Change` once it is on the disk, before the call that
    made it returns.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.on_change: list[Callable[[Change], None]] = []
        self._clock = clock

    @classmethod
    async def open(
        cls, path: str, *, clock: Callable[[], float], on_blocked: Callable[[str | None], None] | None = None
    ) -> "JobStore":
        """Open the file, made or migrated as needed; a ``StoreError`` if that can't be.

        ``on_blocked`` is called with one line when writes begin to wait for the disk, and with None when they go on.
        """
        return cls(await Database.open(path, on_blocked=on_blocked), clock)

    async def close(self) -> None:
        """Finish what was asked for before, and close the file."""
        await self.database.close()

    @property
    def alive(self) -> bool:
        """Say whether the store does its work: for a watchdog."""
        return self.database.alive

    @property
    def blocked(self) -> str | None:
        """Return why writes wait, in one line; None if they do not."""
        return self.database.blocked

    async def _write(self, work: Callable[[UnitOfWork], T]) -> T:
        def unit(connection: Connection) -> tuple[T, list[Change]]:
            under_way = UnitOfWork(connection=connection, now=self._clock())
            return work(under_way), under_way.changes

        result, _ = await self.database.write(unit, self._tell)
        return result

    def _tell(self, done: tuple[object, list[Change]]) -> None:
        for change in done[1]:
            for listener in self.on_change:
                listener(change)

    # Remotes.

    async def remote(self, name: str, identity: str, former: Sequence[FormerIdentity] = ()) -> RemoteRecord:
        """Return the remote of that identity; it is made, or given its new name, as needed.

        Where there is none, the first record of ``former`` that there is becomes its record.
        """
        return await self._write(lambda work: queries.remote(work, name, identity, former))

    async def apply_terms(self, remote_id: int, terms: str) -> None:
        """Forget the uploads under way that were begun under other terms than ``terms``, which hold from now on."""
        await self._write(lambda work: queries.apply_terms(work, remote_id, terms))

    async def save_capabilities(self, remote_id: int, capabilities: Mapping[str, int]) -> None:
        """Keep what was learned about a server, in place of what was known."""
        await self._write(lambda work: queries.save_capabilities(work, remote_id, capabilities))

    # Intake.

    async def diff(self, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int]) -> list[FoundFile]:
        """Return those of ``seen`` that :meth:`observe` would do something about. Writes nothing."""
        return await self.database.read(lambda connection: files.diff(connection, folder, seen, remote_ids))

    async def observe(
        self, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int], *, is_gone: IsGone
    ) -> int:
        """Take note of files that are quiet; return how many jobs were made or changed their state.

        Each file has one job for each of the remotes. A new stamp or birth time queues it again, and so does a file
        where one had disappeared; a job that is uploading goes on, and is queued again at its end. A path that is new
        but has the stamp of one where there is nothing any more is that file, renamed, if the birth times or
        ``moved_from`` say so. ``vanished(folder, path)`` tells that nothing is there, in the writer's thread.
        """
        return await self._write(lambda work: files.observe(work, folder, seen, remote_ids, is_gone))

    async def gone(self, folder: str, paths: Sequence[str], *, removed: bool = False) -> int:
        """Take note that there is nothing at ``paths`` any more; return how many jobs that ended.

        What is done stays done, and uploads under way find out by themselves. ``removed`` says that the daemon itself
        has deleted or moved the files, so that a file that is found elsewhere is none of them, renamed.
        """
        return await self._write(lambda work: files.gone(work, folder, paths, removed=removed))

    async def paths(self, folder: str, *, after: str | None = None, limit: int = 1000) -> list[str]:
        """Return up to ``limit`` paths of files that are not gone, in the order of their bytes, following ``after``."""
        return await self.database.read(lambda connection: files.paths(connection, folder, after, limit))

    # Claims and results. A result returns the state after it, or None, and changes nothing, if the claim is over.

    async def claim(self, remote_id: int, limit: int, *, owner: str, lease: float, large: int = -1) -> list[Job]:
        """Take up to ``limit`` jobs that are due, the longest due first; they are ``owner``'s for ``lease`` seconds.

        At most ``large`` of them are of files of :data:`LARGE_FILE_BYTES` bytes and more; -1 for no such bound.
        """
        take = partial(claims.claim, owner=owner, lease=lease, large=large)
        return await self._write(lambda work: take(work, remote_id, limit))

    async def next_due(self, remote_id: int) -> float | None:
        """Return when a job of the remote is due, maybe in the past; None if there is none to come."""
        now = self._clock()
        return await self.database.read(lambda connection: claims.next_due(connection, remote_id, now))

    async def renew(self, owner: str, lease: float) -> None:
        """Let the leases of ``owner`` end ``lease`` seconds from now."""
        await self._write(lambda work: claims.renew(work, owner, lease))

    async def recover(self, owner: str) -> int:
        """Queue again what others than ``owner`` had claimed; return how many jobs.

        For the start of the one daemon of a state folder: all others are dead, however long their leases.
        """
        return await self._write(lambda work: claims.recover(work, owner))

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
        """Take note that the remote has the content ``key``: done, unless the file has changed meanwhile.

        ``sha256`` is that of the file's own bytes. ``terms`` are those that the content is stored under; ``expires``
        says that they end.
        """
        content = StoredContent(
            remote_id=job.remote_id,
            key=key,
            ref=stored.ref,
            size=job.size,
            sha256=sha256,
            proof=stored.proof,
            confirmed_at=self._clock() if stored.proof else 0.0,
            terms=terms,
            expires=expires,
        )
        return await self._write(lambda work: claims.finish(work, job, content, outcome))

    async def defer(self, job: Job, *, due_at: float, failures: int, detail: str) -> State | None:
        """Take note of a failed try; wait for the next one."""
        values = {"due_at": due_at, "failures": failures}
        return await self._write(
            lambda work: claims.finish_claim(work, job, Cause.DEFERRED, detail=detail, values=values)
        )

    async def release(self, job: Job, detail: str) -> State | None:
        """Put the job back in the queue, at its old place."""
        return await self._write(lambda work: claims.finish_claim(work, job, Cause.RELEASED, detail=detail))

    async def refuse(self, job: Job, detail: str) -> State | None:
        """Take note that it can't succeed as it is; a person has to look."""
        return await self._write(lambda work: claims.finish_claim(work, job, Cause.REFUSED, detail=detail))

    async def skip(self, job: Job, detail: str) -> State | None:
        """Take note that the file is of a kind that is never sent."""
        return await self._write(lambda work: claims.finish_claim(work, job, Cause.UNFIT, detail=detail))

    async def mark_gone(self, job: Job) -> State | None:
        """Take note that the file is not there any more."""
        return await self._write(lambda work: claims.mark_gone(work, job))

    async def cancel_again(self, job: Job, sha256: str) -> State | None:
        """Give a job up whose content a person has cancelled before."""
        return await self._write(lambda work: cancellations.cancel_again(work, job, sha256))

    async def set_content_key(self, job: Job, key: str) -> None:
        """Keep the content key that hashing has found."""
        await self._write(lambda work: claims.set_content_key(work, job, key))

    async def wake(self, remote_id: int, key: str) -> int:
        """Make the waiting jobs with that content due; return how many."""
        return await self._write(lambda work: claims.wake(work, remote_id, key))

    async def shift_due_times(self, seconds: float) -> None:
        """Take note that the clock was set back: all waiting jobs are due when they were to be."""
        await self._write(lambda work: claims.shift_due_times(work, seconds))

    # Sessions and contents.

    async def content(self, remote_id: int, key: str) -> StoredContent | None:
        """Return a content that the remote is known to have."""
        return await self.database.read(lambda connection: uploads.content(connection, remote_id, key))

    async def uploaded_before(self, key: str, sha256: str | None) -> list[StoredContent]:
        """Return as what any remote has had a file of these bytes."""
        return await self.database.read(lambda connection: uploads.uploaded_before(connection, key, sha256))

    async def confirm(self, remote_id: int, key: str, proof: Proof) -> None:
        """Take note that the remote has just said again that it has the content, and what that rests on."""
        await self._write(lambda work: uploads.confirm(work, remote_id, key, proof))

    async def forget_content(self, remote_id: int, key: str) -> None:
        """Take note that the remote does not have the content after all."""
        await self._write(lambda work: uploads.forget(work, remote_id, key))

    async def session(self, remote_id: int, key: str) -> Session | None:
        """Return the upload of a content that is under way, with the chunks that were acknowledged."""
        return await self.database.read(lambda connection: uploads.session(connection, remote_id, key))

    async def save_session(self, remote_id: int, key: str, session: Session) -> None:
        """Keep ``session``, its received chunks included, in place of an earlier one. Not for ``whole`` ones."""
        await self._write(lambda work: uploads.save_session(work, remote_id, key, session))

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        """Take note that chunk ``index`` has arrived, if the session is still the one that ``token`` names."""
        await self._write(lambda work: uploads.acknowledge(work, remote_id, key, token, index))

    async def require_verification(self, remote_id: int, key: str) -> None:
        """Record that the server's copy must be compared at the end of the session."""
        await self._write(lambda work: uploads.require_verification(work, remote_id, key))

    async def drop_session(self, remote_id: int, key: str) -> None:
        """Forget the session."""
        await self._write(lambda work: uploads.drop_session(work, remote_id, key))

    async def expire_sessions(self, older_than: float) -> int:
        """Forget the sessions that were begun before ``older_than``; return how many."""
        return await self._write(lambda work: uploads.expire(work, older_than))

    # What a person asks and orders.

    async def job(self, job_id: int) -> JobRecord | None:
        """Return one job."""
        return await self.database.read(lambda connection: queries.job(connection, job_id))

    async def jobs_of(self, path: str, folders: Sequence[str]) -> list[JobRecord]:
        """Return the jobs of a file: ``path`` is absolute, or relative to whichever of ``folders`` holds it."""
        if os.path.isabs(path):
            found = [(folder, below) for folder in folders if (below := inside(folder, path))]
        else:
            found = [(folder, path) for folder in folders]
        return await self.database.read(lambda connection: queries.jobs_of(connection, found))

    async def page(self, wanted: JobFilter) -> Page:
        """Return a page of jobs."""
        return await self.database.read(lambda connection: pages.page(connection, wanted, time.monotonic))

    async def jobs(self, remote_ids: Sequence[int], *, state: State | None = None, limit: int = 50) -> list[JobRecord]:
        """Return up to ``limit`` jobs of ``state``, the latest change first."""
        return (await self.page(JobFilter(remote_ids=remote_ids, state=state, limit=limit))).jobs

    async def copies(self, job_ids: Sequence[int]) -> list[Copy]:
        """Return what the remotes have by those of these jobs that are done."""
        return await self.database.read(lambda connection: copies.copies_of(connection, job_ids))

    async def history(self, job_id: int) -> list[HistoryEntry]:
        """Return the last steps of a job, oldest first."""
        return await self.database.read(lambda connection: queries.steps(connection, job_id))

    async def retry(self, job_ids: Sequence[int] | None = None) -> list[int]:
        """Queue jobs again that wait, failed or were skipped, or with None all that failed; return their ids.

        A content that was cancelled is not any more.
        """
        if job_ids is not None:
            return await self._write(lambda work: queries.order(work, Cause.RETRIED, job_ids))
        queued: list[int] = []
        while more := await self._write(
            lambda work: queries.order(work, Cause.RETRIED, pages.failed(work.connection, RETRY_BATCH_JOBS))
        ):
            queued += more
        return queued

    async def repair(self, job_ids: Sequence[int]) -> list[int]:
        """Forget that the remotes have what these jobs, if done, uploaded; queue those again whose file is still here.

        Returns the ids of those that are queued.
        """
        return await self._write(lambda work: queries.repair(work, job_ids))

    async def cancel(self, job_ids: Sequence[int]) -> list[int]:
        """Give jobs up that are not at their end, running ones too; return their ids."""
        return await self._write(lambda work: queries.order(work, Cause.CANCELLED, job_ids))

    async def cancelled_alike(self, job: Job, sha256: str) -> list[CancelledJob]:
        """Return the jobs of the same remote that a person cancelled with this content, ``job`` itself among them."""
        return await self.database.read(lambda connection: cancellations.alike(connection, job, sha256))

    async def cancelled_unhashed(self, *, after: int = 0, limit: int = 100) -> list[CancelledJob]:
        """Return cancelled jobs whose content is not known yet and whose file is here, by id, following ``after``."""
        return await self.database.read(lambda connection: cancellations.unhashed(connection, after, limit))

    async def save_cancelled_content(self, job: CancelledJob, sha256: str) -> None:
        """Keep the content of a job that was cancelled, if it is still so."""
        await self._write(lambda work: cancellations.note(work, job, sha256))

    async def counts(self, remote_ids: Sequence[int]) -> Counts:
        """Count the jobs of remotes, in time that does not depend on how many there are."""
        return await self.database.read(lambda connection: queries.counts(connection, remote_ids))

    async def unfinished(self, remote_ids: Sequence[int]) -> int:
        """Return how many jobs of remotes are not at their end."""
        return (await self.counts(remote_ids)).pending

    async def files_count(self, folder: str) -> int:
        """Return how many files are present in a folder."""
        return await self.database.read(lambda connection: queries.files_count(connection, folder))

    # Removals after the upload.

    async def uploaded(
        self, folder: str, remote_ids: Sequence[int], *, after: str | None = None, limit: int = 100
    ) -> list[UploadedFile]:
        """Return present files of a folder that all these remotes have as they are, by path, following ``after``."""
        ask = partial(removals.uploaded, after=after, limit=limit)
        return await self.database.read(lambda connection: ask(connection, folder, remote_ids))

    async def uploaded_count(self, folder: str, remote_ids: Sequence[int]) -> int:
        """Count the present files of a folder that all these remotes have as they are."""
        return await self.database.read(lambda connection: removals.count(connection, folder, remote_ids))

    async def begin_removals(self, folder: str, hidden: Sequence[tuple[str, str]]) -> list[int]:
        """Take note that files, by path, are about to get the hidden names that go with them; return notes' numbers."""
        return await self._write(lambda work: removals.begin(work, folder, hidden))

    async def end_removals(self, folder: str, ids: Sequence[int], removed: Sequence[str]) -> None:
        """Take note that these removals are over, and that the files at the paths ``removed`` are gone by them."""
        await self._write(lambda work: removals.end(work, folder, ids, removed))

    async def altered(self, folder: str, paths: Sequence[str]) -> None:
        """Take note that files have other bytes than were uploaded, though their stamps are the same: queue them."""
        await self._write(lambda work: files.alter(work, folder, paths))

    async def removals(self) -> list[Removal]:
        """Return the removals that were begun and not ended."""
        return await self.database.read(removals.begun)

    # Settings.

    async def get_setting(self, key: str) -> str | None:
        """Return a value that was kept."""
        return await self.database.read(lambda connection: queries.setting(connection, key))

    async def set_setting(self, key: str, value: str) -> None:
        """Keep a value."""
        await self._write(lambda work: queries.set_setting(work, key, value))
