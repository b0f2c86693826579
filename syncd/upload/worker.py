"""One remote's part of the queue: which jobs may run now, and what becomes of each.

A lane claims no more than it can run, puts nothing to sleep while it holds a slot, and keeps no memory that the
store does not have. While its server is down it claims nothing and sends one probe in each backoff period.
"""

import asyncio
from collections.abc import Container, Coroutine
from enum import StrEnum
from typing import Any, TypeVar

import structlog

from syncd.core.breaker import BreakerState
from syncd.core.errors import Failure, NotUploadable, Permanent, Transient, Unauthorized
from syncd.core.model import Content, Presence, Stored
from syncd.core.states import Outcome, State
from syncd.store.errors import StoreClosedError
from syncd.store.records import LARGE_FILE_BYTES, Job
from syncd.upload.cancellations import refuse_cancelled
from syncd.upload.context import WorkerContext
from syncd.upload.endpoint import Endpoint
from syncd.upload.failure import record_failure
from syncd.upload.singleflight import AlreadyInFlightError, InFlightUploads
from syncd.upload.source import FileSource
from syncd.upload.upload import Done, InterruptedUploadError, Progress, Upload

log = structlog.get_logger()
T = TypeVar("T")

CLAIM_AHEAD = 2
"""JobQueue beyond the requests in flight, so that the next file is hashed while others are sent."""
LEASE_SECONDS = 60.0
SHA256 = "set hash: sha256 for this remote"
WRITE_DEADLINE_SECONDS = 0.5
"""Seconds to wait for the store where a job ends that may have been cut off."""


class RemoteState(StrEnum):
    """How a remote is."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"


class RemoteWorker:
    """Runs the jobs of one remote."""

    def __init__(self, name: str, remote_id: int, endpoint: Endpoint, context: WorkerContext) -> None:
        self.name = name
        self.remote_id = remote_id
        self.endpoint = endpoint
        self.paused = False
        self._context = context
        self._store = context.store
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Upload] = {}  # of one job maybe two: it is queued before its task ends
        self._claiming = asyncio.Lock()
        self._pending_writes: set[asyncio.Task[Any]] = set()
        self._in_flight_uploads = InFlightUploads(remote_id, context.store, context.clock)
        self._state = RemoteState.ONLINE
        self._capabilities = dict(endpoint.remote.capabilities)

    # The loop.

    async def run(self) -> None:
        """Claim and start jobs until cancelled; ask first whether the server is there at all."""
        if not self.paused:
            await self.endpoint.ask()
        while True:
            self._wake.clear()
            delay = await self._poll()
            self._log_state_change()
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def wake(self) -> None:
        """Look again for jobs that are due."""
        self._wake.set()

    async def _poll(self) -> float | None:
        """Do what can be done now; return the seconds until there may be more, None to be woken."""
        if self.paused:
            return None
        await self._context.check_clock()
        breaker = self.endpoint.breaker
        if breaker.position is BreakerState.OPEN:
            wait = (breaker.probe_at or 0.0) - self.endpoint.clock()
            if wait > 0:
                return wait
            await self.endpoint.probe()
            return 0.0
        target = 1 if breaker.position is BreakerState.HALF_OPEN else self.endpoint.limiter.capacity + CLAIM_AHEAD
        room = target - len(self._running)
        if room <= 0:
            return None
        large = sum(upload.job.size >= LARGE_FILE_BYTES for upload in self._running.values())
        async with self._claiming:
            # Giants leave half of the places to others.
            for job in await self._claim(room, large=max(0, max(1, target // 2) - large)):
                self._start(job)
        due = await self._store.next_due(self.remote_id)
        if due is None or (self._running and due <= self._context.clock()):
            return None  # the end of a running job wakes
        return max(0.05, due - self._context.clock())

    async def _claim(self, room: int, *, large: int) -> list[Job]:
        """Claim jobs; those that come when nobody waits for them any more go back."""
        claiming = self._spawn_write(
            self._store.claim(self.remote_id, room, owner=self._context.owner, lease=LEASE_SECONDS, large=large)
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._give_back)
            raise

    def _give_back(self, claiming: asyncio.Task[list[Job]]) -> None:
        if not claiming.cancelled() and not claiming.exception():
            for job in claiming.result():
                self._spawn_write(self._store.release(job, "stopped"))

    def _start(self, job: Job) -> None:
        upload = Upload(
            job,
            endpoint=self.endpoint,
            store=self._store,
            stopping=lambda: self.paused or self.endpoint.down,
            sleep=self._context.sleep,
        )
        task = asyncio.create_task(self._run(upload), name=f"upload:{self.name}:{job.id}")
        self._running[task] = upload
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake()

    # What others ask of it.

    @property
    def state(self) -> RemoteState:
        """Say how the server is."""
        if not self.endpoint.down:
            return RemoteState.ONLINE
        if isinstance(self.endpoint.breaker.reason, Unauthorized):
            return RemoteState.UNAUTHORIZED
        return RemoteState.OFFLINE

    def _log_state_change(self) -> None:
        """Log a change of the server's state."""
        state = self.state
        if state is self._state:
            return
        self._state = state
        if state is RemoteState.ONLINE:
            log.info("remote.online", remote=self.name)
            return
        retry_in = max(0.0, (self.endpoint.breaker.probe_at or 0.0) - self.endpoint.clock())
        event = "remote.offline" if state is RemoteState.OFFLINE else "remote.unauthorized"
        log.warning(event, remote=self.name, reason=str(self.endpoint.breaker.reason), retry_in=round(retry_in, 1))

    def progress(self) -> list[Progress]:
        """Return how far the running jobs are."""
        return [upload.progress for upload in self._running.values()]

    def pause(self) -> None:
        """Claim no more; what runs stops at its next chunk boundary."""
        self.paused = True

    def resume(self) -> None:
        """Go on, and try a server that was down at once."""
        self.paused = False
        self.endpoint.reset()
        self.wake()

    async def drain(self) -> None:
        """Wait for what runs to end, and for what was being claimed."""
        async with self._claiming:
            pass
        while self._running:
            await asyncio.wait(self._running)

    async def cancel(self, job_ids: Container[int] | None = None) -> None:
        """End these jobs, or all, wherever they are."""
        await asyncio.sleep(0)  # a task that is cancelled before it began would not release its job
        tasks = [task for task, upload in self._running.items() if job_ids is None or upload.job.id in job_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One job.

    async def _run(self, upload: Upload) -> None:
        try:
            await self._attempt(upload)
        except StoreClosedError:
            pass  # the next start finds the job as it was
        finally:
            self._log_state_change()

    async def _attempt(self, upload: Upload) -> None:
        job = upload.job
        try:
            done = await self._upload(upload)
        except Failure as failure:
            await self._conclude(upload, failure)
        except InterruptedUploadError:
            await self._store.release(job, str(self.endpoint.breaker.reason) if self.endpoint.down else "stopped")
        except AlreadyInFlightError as already:
            await self._in_flight_uploads.wait_for_leader(job, already)
        except asyncio.CancelledError:
            await self._with_deadline(self._store.release(job, "stopped"))
            raise
        except StoreClosedError:
            raise
        except Exception as error:  # a bug met by one file must not end the others
            log.exception("job.crashed", job=job.id, path=job.path, remote=self.name)
            await self._conclude(upload, Transient(f"internal error: {type(error).__name__}; the log has more"))
        else:
            await self._store.finish(
                job,
                key=done.content.key,
                stored=done.stored,
                outcome=Outcome.DUPLICATE if done.stored.already else Outcome.UPLOADED,
                sha256=done.content.sha256,
                terms=done.terms,
                expires=done.expires,
            )
        finally:
            for key in self._in_flight_uploads.stop_leading(job):
                await self._with_deadline(self._store.wake(self.remote_id, key))
        await self._remember_facts()

    async def _conclude(self, upload: Upload, failure: Failure) -> None:
        state = await record_failure(
            upload.job, failure, endpoint=self.endpoint, context=self._context, advanced=upload.advanced
        )
        if state is State.FAILED and upload.key is not None:  # whoever retries it must not meet the same session again
            await self._store.drop_session(self.remote_id, upload.key)

    async def _upload(self, upload: Upload) -> Done:
        job = upload.job
        if upload.stopping():
            raise InterruptedUploadError
        source = await FileSource.open(
            job.folder,
            job.path,
            job.fingerprint,
            block_size=self.endpoint.remote.block_size,
            follow_symlinks=self._context.follow_symlinks(job.folder),
        )
        try:
            if unfit := self._context.unfit(job.folder, source.size):
                raise NotUploadable(unfit)
            content = await source.hash(self.endpoint.remote.hasher())
            await refuse_cancelled(self._store, job, content)
            known = await self._known(job, content)
            if not known:
                self._in_flight_uploads.lead(job, content.key)
                known = await self._known(job, content)  # again: the leader before may have ended just now
            return known or await upload.run(source, content)
        finally:
            source.close()

    async def _known(self, job: Job, content: Content) -> Done | None:
        """Return the end of a job whose content was uploaded before, where the server says that it still has it."""
        stored = await self._store.content(self.remote_id, content.key)
        if stored is None:
            return None
        if content.sha256 and stored.sha256 not in (None, content.sha256):
            raise Permanent(f"the server has another file with the same {content.key.partition(':')[0]}", advice=SHA256)
        if stored.terms != self.endpoint.remote.terms:
            return None
        async with self.endpoint.request(job.id):
            answer = await self.endpoint.remote.confirm(stored.ref, content)
        if answer.presence is Presence.YES:
            proof = max(answer.proof, stored.proof)
            known = Stored(ref=stored.ref, already=True, proof=proof)
            return Done(content=content, stored=known, terms=stored.terms, expires=stored.expires)
        if answer.presence is Presence.NO:
            await self._store.forget_content(self.remote_id, content.key)
        return None

    async def _with_deadline(self, writing: Coroutine[Any, Any, object]) -> None:
        """Write something down, without waiting for a disk that is full: the next start makes up for it."""
        await asyncio.wait({self._spawn_write(writing)}, timeout=WRITE_DEADLINE_SECONDS)

    def _spawn_write(self, writing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Write something down that is written whether somebody waits for it or not."""
        task = asyncio.create_task(writing)
        self._pending_writes.add(task)
        task.add_done_callback(self._log_write)
        return task

    def _log_write(self, task: asyncio.Task[Any]) -> None:
        self._pending_writes.discard(task)
        if not task.cancelled():
            task.exception()  # the store was closed before; nobody else asks

    async def _remember_facts(self) -> None:
        capabilities = dict(self.endpoint.remote.capabilities)
        if capabilities != self._capabilities:
            self._capabilities = capabilities
            await self._store.save_capabilities(self.remote_id, capabilities)
