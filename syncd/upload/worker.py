"""The worker of one remote: claims due jobs and starts an upload attempt for each.

A worker claims only slightly more jobs than it can run, and keeps no state that is not in the store. While the server
is down, for example after a 429 or 503, the worker claims nothing: :mod:`~syncd.core.breaker` decides when
:mod:`~syncd.upload.endpoint` may send a probe. :mod:`~syncd.upload.upload` runs one attempt, and asks
:mod:`~syncd.core.retry` when a failed job is due again. :mod:`~syncd.upload.scheduler` starts and stops the workers.
"""

import asyncio
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

import structlog

from syncd.asyncio_tools import cancel_and_wait, wait_for_event
from syncd.core import retry
from syncd.core.breaker import BreakerState
from syncd.core.concurrency import ConcurrencyLimit
from syncd.core.errors import Unauthorized
from syncd.store.errors import StoreClosedError
from syncd.store.records import LARGE_FILE_BYTES, Job
from syncd.upload.context import WorkerContext
from syncd.upload.endpoint import Endpoint
from syncd.upload.idle_check import IdleCheck
from syncd.upload.job_claimer import NEW_AHEAD, JobClaimer
from syncd.upload.job_queue import BackgroundWrites
from syncd.upload.singleflight import InFlightUploads
from syncd.upload.source import IN_MEMORY_MAX_BYTES
from syncd.upload.transfer import WAITING, Progress
from syncd.upload.upload import UploadAttempt

log = structlog.get_logger()

CLAIM_AHEAD = 64
"""Jobs claimed beyond the requests in flight: their files are read and looked up while others are sent."""
CLAIM_SHARE = 4
"""Jobs are claimed when a quarter of the places is free, as a claim of one job costs as much as one of many."""
MAX_MEMORY_BYTES = 48 * 1024 * 1024
"""No job is claimed while the running attempts may hold this much of their files in memory, except NEW_AHEAD."""
MIN_POLL_SECONDS = 0.05


class RemoteState(StrEnum):
    """The state of a remote: only ``ONLINE`` accepts uploads."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStatus:
    """A snapshot of a worker, for status displays and metrics."""

    state: RemoteState
    reason: str | None
    """The reason why the remote is not online, or None."""
    retry_in_seconds: float | None
    """Time until the next probe, if the remote is not online."""
    failures: int
    """The number of times that the remote was found to be down since it was last online."""
    since: float
    """When the remote came into this state, in seconds since the epoch."""
    last_ok_at: float | None
    """When a request last succeeded, in seconds since the epoch; None if none has since the start."""
    requests_in_flight: int
    requests_limit: int


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
        # One job may have two attempts here: it may be claimed again before the task of its last attempt has ended.
        self._running: dict[asyncio.Task[None], UploadAttempt] = {}
        self._claiming = asyncio.Lock()
        self._writes = BackgroundWrites()
        self.claimer = JobClaimer(remote_id, context, self._writes)
        self._in_flight_uploads = InFlightUploads(remote_id, context.store, context.clock)
        self._logged_state = RemoteState.ONLINE
        self._state_since = context.clock()
        self._idle_check = IdleCheck(endpoint, random=context.random, ended=self.wake)
        self._saved_capabilities = dict(endpoint.remote.capabilities)

    # The loop.

    async def run(self) -> None:
        """Claim and start jobs until cancelled. First check whether the server responds."""
        if not self.paused:
            await self.endpoint.ask()
        try:
            while True:
                self._wake.clear()
                delay = await self._poll()
                self._log_state_change()
                if not self.paused:
                    delay = self._idle_check.start_if_due(delay)
                await wait_for_event(self._wake, delay)
        finally:
            await self._idle_check.close()

    def wake(self, *, new: bool = False) -> None:
        """Look for due jobs now; ``new`` says that a new file was queued."""
        if new:
            self.claimer.new_file_queued()
        self._wake.set()

    async def _poll(self) -> float | None:
        """Start all jobs that can run now; return the seconds until the next poll.

        None means: wait until the worker is woken.
        """
        if self.paused:
            return None
        await self._context.check_clock()
        breaker = self.endpoint.breaker
        if breaker.state is BreakerState.OPEN:
            wait = self._seconds_to_probe()
            if wait > 0:
                return wait
            await self.endpoint.probe()
            return 0.0
        if breaker.state is BreakerState.HALF_OPEN:
            target = least = 1
        else:
            target = self.endpoint.limiter.capacity + CLAIM_AHEAD
            least = max(1, target // CLAIM_SHARE)
        free = target - len(self._running)
        only_new = free < least or self._memory_in_use() >= MAX_MEMORY_BYTES
        if only_new:
            new_at_once = breaker.state is BreakerState.CLOSED and self.claimer.claims_new_at_once(
                attempt.job for attempt in self._running.values()
            )
            if not new_at_once:
                return None  # the end of a running job wakes the worker
            free = NEW_AHEAD
        large = sum(attempt.job.size >= LARGE_FILE_BYTES for attempt in self._running.values())
        async with self._claiming:
            # Large files get at most half of the places.
            claimed = await self._claim(free, large=max(0, max(1, target // 2) - large), only_new=only_new)
            for job in claimed:
                self._start(job)
        if only_new or len(claimed) == free:
            return None
        due = await self._store.next_due(self.remote_id)
        if due is None or (self._running and due <= self._context.clock()):
            return None
        return max(MIN_POLL_SECONDS, due - self._context.clock())

    def _memory_in_use(self) -> int:
        return sum(min(attempt.job.size, IN_MEMORY_MAX_BYTES) for attempt in self._running.values())

    async def _claim(self, limit: int, *, large: int, only_new: bool) -> list[Job]:
        if self.paused:  # since the poll began; :meth:`drain` relies on no further claim
            return []
        return await self.claimer.claim(limit, large=large, only_new=only_new)

    def _start(self, job: Job) -> None:
        attempt = UploadAttempt(
            job,
            remote_name=self.name,
            endpoint=self.endpoint,
            context=self._context,
            in_flight=self._in_flight_uploads,
            writes=self._writes,
            stopping=lambda: self.paused or self.endpoint.down,
            first=self.claimer.goes_first(job),
        )
        task = asyncio.create_task(self._run(attempt), name=f"upload:{self.name}:{job.id}")
        self._running[task] = attempt
        task.add_done_callback(self._ended)

    async def _run(self, attempt: UploadAttempt) -> None:
        try:
            await attempt.run()
            await self._save_capabilities()
        except StoreClosedError:
            pass  # the next start recovers the job
        finally:
            self._log_state_change()

    async def _save_capabilities(self) -> None:
        capabilities = dict(self.endpoint.remote.capabilities)
        if capabilities != self._saved_capabilities:
            self._saved_capabilities = capabilities
            await self._store.save_capabilities(self.remote_id, capabilities)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake()

    # Status.

    @property
    def state(self) -> RemoteState:
        """The state of the remote now."""
        if not self.endpoint.down:
            return RemoteState.ONLINE
        if isinstance(self.endpoint.breaker.reason, Unauthorized):
            return RemoteState.UNAUTHORIZED
        return RemoteState.OFFLINE

    def status(self) -> WorkerStatus:
        """Return the state of the remote and of its requests."""
        state, breaker, limiter = self.state, self.endpoint.breaker, self.endpoint.limiter
        online = state is RemoteState.ONLINE
        now, last = self._context.clock(), self.endpoint.last_success
        return WorkerStatus(
            state=state,
            reason=None if online else str(breaker.reason),
            retry_in_seconds=None if online else max(0.0, self._seconds_to_probe()),
            failures=breaker.failures,
            since=now if state is not self._logged_state else self._state_since,
            last_ok_at=None if last is None else now - (self.endpoint.clock() - last),
            requests_in_flight=limiter.in_flight,
            requests_limit=limiter.capacity,
        )

    def progress(self) -> list[Progress]:
        """Return the progress of the running attempts, except those that wait for their turn."""
        return [attempt.progress for attempt in self._running.values() if attempt.progress.stage != WAITING]

    @property
    def claimed(self) -> int:
        """The number of running attempts."""
        return len(self._running)

    def _seconds_to_probe(self) -> float:
        return (self.endpoint.breaker.probe_at or 0.0) - self.endpoint.clock()

    def _log_state_change(self) -> None:
        if self.state is self._logged_state:
            return
        status = self.status()
        self._logged_state, self._state_since = status.state, status.since
        if status.retry_in_seconds is None:
            log.info("remote.online", remote=self.name)
            return
        event = "remote.offline" if status.state is RemoteState.OFFLINE else "remote.unauthorized"
        log.warning(event, remote=self.name, reason=status.reason, retry_in=round(status.retry_in_seconds, 1))

    # Control.

    def apply(self, policy: retry.Policy, limit: ConcurrencyLimit | None = None) -> None:
        """Change the retry policy and, if ``limit`` is given, the limit of requests in flight."""
        self.endpoint.breaker.policy = policy
        if limit is not None:
            self.endpoint.limiter.change(limit)

    def pause(self) -> None:
        """Stop claiming jobs; running attempts stop at their next chunk boundary."""
        self.paused = True

    def resume(self) -> None:
        """Claim jobs again, and allow requests at once to a server that was down."""
        self.paused = False
        self.endpoint.reset()
        self.wake()

    def probe_now(self) -> None:
        """Send the next probe now, at the request of a user.

        Has no effect on a server that is up.
        """
        self.endpoint.breaker.hasten_probe(self.endpoint.clock())
        self.wake()

    async def drain(self) -> None:
        """Wait until a claim in progress and all running attempts have ended."""
        async with self._claiming:
            pass
        while self._running:
            await asyncio.wait(self._running)

    async def cancel(self, job_ids: Container[int] | None = None) -> None:
        """Cancel the running attempts of these jobs, or of all jobs, and wait for their end."""
        await asyncio.sleep(0)  # a task that is cancelled before its first step would not release its job
        tasks = [task for task, attempt in self._running.items() if job_ids is None or attempt.job.id in job_ids]
        await cancel_and_wait(*tasks)
