"""Runs one attempt to upload a job's file, and records the result in the store.

:class:`UploadAttempt` opens and hashes the file, asks whether the server has the content, calls
:mod:`~syncd.upload.transfer` if it does not, and decides the job's next state. After a failure of this file,
:mod:`~syncd.core.retry` decides when the next attempt is due; a failure of the whole server, such as 429, goes to
:mod:`~syncd.upload.endpoint`. :mod:`~syncd.upload.worker` starts the attempts.

An upload never deletes a file: :mod:`syncd.daemon.after_upload` does, after the job is done. A renamed file is not
uploaded again: :mod:`syncd.store.files` recognises it.
"""

import asyncio
from collections.abc import Callable

import structlog

from syncd.core import retry
from syncd.core.errors import (
    Failure,
    FileChanged,
    FileGone,
    FileInUse,
    FileUnreadable,
    NotUploadable,
    Permanent,
    Transient,
    Unauthorized,
    Unwanted,
)
from syncd.core.model import Content, Presence, Stored
from syncd.core.states import FOLDER_MISSING, Outcome, State
from syncd.store.errors import StoreClosedError
from syncd.store.records import ContentQuery, ContentRecords, Job
from syncd.upload.cancellations import refuse_cancelled
from syncd.upload.context import WorkerContext
from syncd.upload.endpoint import Endpoint
from syncd.upload.job_queue import BackgroundWrites
from syncd.upload.singleflight import AlreadyInFlightError, InFlightUploads
from syncd.upload.source import FileSource
from syncd.upload.transfer import Done, InterruptedUploadError, Progress, Transfer

log = structlog.get_logger()

WATCH_RETRY_SECONDS = 3600.0
"""A file that is in use or whose folder is missing is tried again then, unless the watch queues it earlier."""
NOT_SELECTED = "changed, and its folder's patterns leave it out now"
STOPPED = "stopped"
"""The detail of a job whose attempt was interrupted by this daemon, not by a failure."""
USE_SHA256 = "set hash: sha256 for this remote"


class UploadAttempt:
    """Uploads the file of one claimed job.

    ``stopping`` is called at the start and at each chunk boundary; the attempt ends if it returns True. ``first`` is as
    for :meth:`~syncd.upload.limiter.ConcurrencyLimiter.acquire`.
    """

    def __init__(
        self,
        job: Job,
        *,
        remote_name: str,
        endpoint: Endpoint,
        context: WorkerContext,
        in_flight: InFlightUploads,
        writes: BackgroundWrites,
        stopping: Callable[[], bool],
        first: bool = False,
    ) -> None:
        self.job = job
        self.progress = Progress(job=job)
        self._remote_name = remote_name
        self._endpoint = endpoint
        self._context = context
        self._store = context.store
        self._in_flight = in_flight
        self._writes = writes
        self._stopping = stopping
        self._first = first
        self._transfer: Transfer | None = None

    async def run(self) -> None:
        """Upload the file and record the result.

        ``StoreClosedError`` if the store was closed: the next start recovers the job.
        """
        job = self.job
        try:
            done = await self._upload()
        except Failure as failure:
            await self._record_failure(failure)
        except InterruptedUploadError:
            reason = str(self._endpoint.breaker.reason) if self._endpoint.down else STOPPED
            await self._store.release(job, reason)
        except AlreadyInFlightError as already:
            await self._in_flight.wait_for_leader(job, already)
        except asyncio.CancelledError:
            await self._writes.wait_briefly(self._store.release(job, STOPPED))
            raise
        except StoreClosedError:
            raise
        except Exception as error:  # a bug that occurs with one file must not stop the other uploads
            log.exception("job.crashed", job=job.id, path=job.path, remote=self._remote_name)
            await self._record_failure(Transient(f"internal error: {type(error).__name__}; see the log"))
        else:
            await self._record_success(done)
        finally:
            for key in self._in_flight.stop_leading(job):
                await self._writes.wait_briefly(self._store.wake(job.remote_id, key))

    # From the file to the server.

    async def _upload(self) -> Done:
        job, remote = self.job, self._endpoint.remote
        if self._stopping():
            raise InterruptedUploadError
        policy = self._context.folder_policy(job.folder)
        hasher = remote.hasher()
        source = await self._context.opener.open(
            job.folder,
            job.path,
            job.fingerprint,
            block_size=remote.block_size,
            follow_symlinks=policy.follow_symlinks,
            hasher=hasher,
            other_remotes=policy.other_remotes,
        )
        try:
            if reason := policy.unfit(source.size):
                raise NotUploadable(reason)
            if not source.in_memory:
                self.progress.stage = "hashing"
            content = await source.hash(hasher)
            with self._in_flight.looking_up(content.key) as look_up:
                records = await self._look_up(content)
                if records.cancelled:
                    await refuse_cancelled(self._store, job, content)
                known = await self._confirm(records, content)
                if known:
                    return known
                self._in_flight.lead(job, content.key)
                if look_up.outdated:
                    records = await self._look_up(content)
                    known = await self._confirm(records, content)
            return known or await self._send(source, content, records)
        finally:
            source.close()

    async def _look_up(self, content: Content) -> ContentRecords:
        query = ContentQuery(remote_id=self.job.remote_id, key=content.key, sha256=content.sha256)
        return await self._store.content_records(query)

    async def _confirm(self, records: ContentRecords, content: Content) -> Done | None:
        """Return the result of an earlier upload if the server still has the content, else None."""
        job, remote, stored = self.job, self._endpoint.remote, records.stored
        if stored is None:
            return None
        if content.sha256 and stored.sha256 not in (None, content.sha256):
            algorithm = content.key.partition(":")[0]
            raise Permanent(f"the server has another file with the same {algorithm}", advice=USE_SHA256)
        if stored.terms != remote.terms:
            return None
        async with self._endpoint.request(job.id, first=self._first):
            answer = await remote.confirm(stored.ref, content)
        if answer.presence is Presence.YES:
            proof = max(answer.proof, stored.proof)
            known = Stored(ref=stored.ref, already=True, proof=proof)
            return Done(content=content, stored=known, terms=stored.terms, expires=stored.expires)
        if answer.presence is Presence.NO:
            await self._store.forget_content(job.remote_id, content.key)
            records.anywhere.remove(stored)
        return None

    async def _send(self, source: FileSource, content: Content, records: ContentRecords) -> Done:
        self._transfer = Transfer(
            self.job,
            content,
            source,
            records=records,
            endpoint=self._endpoint,
            store=self._store,
            progress=self.progress,
            stopping=self._stopping,
            first=self._first,
            sleep=self._context.sleep,
        )
        return await self._transfer.run()

    # From the result to the job's next state.

    async def _record_success(self, done: Done) -> None:
        await self._store.finish(
            self.job,
            key=done.content.key,
            stored=done.stored,
            outcome=Outcome.DUPLICATE if done.stored.already else Outcome.UPLOADED,
            sha256=done.content.sha256,
            terms=done.terms,
            expires=done.expires,
        )

    async def _record_failure(self, failure: Failure) -> None:
        state = await self._apply_failure(failure)
        if isinstance(failure, FileGone | FileChanged | FileInUse):
            self._context.folder_policy(self.job.folder).recheck(self.job.path)
        rejected = state is State.FAILED and not isinstance(failure, FileUnreadable)
        if rejected and self._transfer is not None:  # a retry must not resume the same session
            await self._store.drop_session(self.job.remote_id, self._transfer.content.key)

    async def _apply_failure(self, failure: Failure) -> State | None:
        """Return the job's state after ``failure``, or None if the claim was over."""
        job, store = self.job, self._store
        match failure:
            case Permanent():
                return await store.refuse(job, str(failure))
            case Unwanted():
                return await store.cancel_again(job, failure.sha256)
            case NotUploadable():
                return await store.skip(job, str(failure))
            case FileGone() | FileUnreadable():
                return await self._record_unavailable(failure)
            case FileChanged() | FileInUse():
                return await self._wait_for_watch(failure)
            case Transient() | Unauthorized() if self._endpoint.down:  # the breaker is open, perhaps by this failure
                return await store.release(job, str(failure))
            case Transient() if self._transfer and self._transfer.advanced:  # progress resets the count of failures
                return await self._retry_later(failure, failures=0)
            case _:
                return await self._retry_later(failure, failures=job.failures)

    async def _record_unavailable(self, failure: FileGone | FileUnreadable) -> State | None:
        """Record that the file is gone or cannot be read.

        While its folder is missing, the job waits instead; the watch queues it again.
        """
        job, store = self.job, self._store
        if not await asyncio.to_thread(self._context.folder_policy(job.folder).is_present):
            due_at = self._context.clock() + WATCH_RETRY_SECONDS
            return await store.defer(job, due_at=due_at, failures=job.failures, detail=FOLDER_MISSING)
        if isinstance(failure, FileGone):
            return await store.mark_gone(job)
        return await store.mark_unreadable(job, str(failure))

    async def _wait_for_watch(self, failure: Failure) -> State | None:
        """Defer the job of a changed file; the watch queues it again when the file has settled."""
        job = self.job
        policy = self._context.folder_policy(job.folder)  # read again: a reload may have changed the patterns
        if not policy.selects(job.path):  # the watch ignores the file
            return await self._store.skip(job, NOT_SELECTED)
        pause = WATCH_RETRY_SECONDS if isinstance(failure, FileInUse) else policy.settle_seconds
        due_at = self._context.clock() + pause
        return await self._store.defer(job, due_at=due_at, failures=job.failures, detail=str(failure))

    async def _retry_later(self, failure: Failure, *, failures: int) -> State | None:
        """Defer the job by the backoff, or give the job up after too many ``failures``."""
        decision = retry.decide(
            failure,
            failures=failures,
            now=self._context.clock(),
            random=self._context.random,
            policy=self._endpoint.breaker.policy,
        )
        if isinstance(decision, retry.GiveUp):
            return await self._store.refuse(self.job, decision.reason)
        return await self._store.defer(self.job, due_at=decision.at, failures=decision.failures, detail=str(failure))
