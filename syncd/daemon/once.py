"""A single pass: scan the folders, upload all that is due, and stop. What ``syncd once`` runs."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from syncd.config.model import Config
from syncd.core.states import IN_USE, Cause, Outcome, State
from syncd.core.text import printable
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.runtime import ListenerOrder, Runtime, open_runtime
from syncd.store.records import Change
from syncd.upload.upload import Progress
from syncd.upload.worker import RemoteState

log = structlog.get_logger()

PATIENCE = 4
"""So many tries of a file, or probes of a server, and a single pass leaves it for the next one."""
MOST_PROBLEMS = 100
LOOK = 0.2
"""Seconds between two looks at how far it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """How far a pass is. Sizes in bytes."""

    scanning: bool
    files_done: int
    files_left: int
    files_failed: int
    sent: int
    pending: int
    per_second: float
    in_flight: list[Progress]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A file that did not arrive."""

    path: str
    folder: str
    remote: str
    state: str
    detail: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a pass did. Files are counted once for each remote."""

    uploaded: int
    duplicate: int
    skipped: int
    failed: int
    """All that are failed now, from earlier passes too: they need a person."""
    left: int
    """Still to be uploaded; the next pass tries them again."""
    problems: list[Problem]
    """The failed and the left ones, so many of each state at most as :data:`MOST_PROBLEMS` says."""
    unreachable: list[str]
    """Remotes that can't be reached, or don't accept the token."""
    sent: int
    """Bytes."""
    seconds: float


async def once(config: Config, *, on_progress: Callable[[Snapshot], None] | None = None) -> Summary:
    """Bring every file of the watched folders to its remotes; StoreError if the store can't be used."""
    death: list[BaseException] = []

    def failed(error: BaseException) -> None:
        death.append(error)
        work.cancel()

    async with open_runtime(config, failed=failed, restore_paused=False) as runtime:
        work = asyncio.create_task(_Pass(runtime, on_progress).run())
        try:
            return await work
        except asyncio.CancelledError:
            if death:
                raise death[0] from None
            raise
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


class _Pass:
    """One pass, and what it counted."""

    def __init__(self, runtime: Runtime, on_progress: Callable[[Snapshot], None] | None) -> None:
        self._runtime = runtime
        self._on_progress = on_progress or (lambda _: None)
        self._started = time.monotonic()
        self._ends: Counter[str] = Counter()
        self._deferred: Counter[int] = Counter()
        self._left: defaultdict[str, set[int]] = defaultdict(set)  # by remote: tried often enough for this pass
        self._unsettled: list[Problem] = []
        self._scanning = True
        runtime.store.changes.subscribe(self._count, order=ListenerOrder.ONCE)

    def _count(self, change: Change) -> None:
        if change.after is State.DONE:
            self._ends[str(change.outcome)] += 1
        elif change.cause in (Cause.UNFIT, Cause.REFUSED):
            self._ends[change.after] += 1
        if change.cause is Cause.DEFERRED:
            self._deferred[change.job_id] += 1
        tried_enough = self._deferred[change.job_id] >= PATIENCE or change.detail == IN_USE
        given_up = change.after is State.WAITING and tried_enough
        left = self._left[change.remote]
        left.add(change.job_id) if given_up else left.discard(change.job_id)

    async def run(self) -> Summary:
        runtime = self._runtime
        after_upload = AfterUploadTask(runtime)
        await after_upload.recover()
        watching = asyncio.create_task(self._report())
        try:
            for watch in runtime.folders.watches.values():
                await watch.scan_once()
            self._unsettled = self._left_by_the_scan()
            self._scanning = False
            while await self._unfinished():
                await self._show()
                await asyncio.sleep(LOOK)
            await after_upload.configure()
            await after_upload.sweep()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._show()
        return await self._summary()

    async def _unfinished(self) -> bool:
        """Say whether waiting longer may bring anything more."""
        runtime = self._runtime
        for name, worker in runtime.scheduler.workers.items():
            if worker.endpoint.breaker.failures >= PATIENCE:
                continue
            if await runtime.store.unfinished([runtime.remote_ids[name]]) > len(self._left[name]):
                return True
        return False

    async def _report(self) -> None:
        while True:  # the scan has its own pace, and people look on
            await self._show()
            await asyncio.sleep(LOOK)

    async def _show(self) -> None:
        runtime = self._runtime
        counts = await runtime.store.counts(list(runtime.remote_ids.values()))
        in_flight = runtime.scheduler.progress()
        self._on_progress(
            Snapshot(
                scanning=self._scanning,
                files_done=self._ends[Outcome.UPLOADED] + self._ends[Outcome.DUPLICATE],
                files_left=counts.pending,
                files_failed=self._ends[State.FAILED],
                sent=runtime.bandwidth_limiter.meter.total,
                pending=max(0, counts.pending_bytes - sum(progress.sent for progress in in_flight)),
                per_second=runtime.bandwidth_limiter.meter.rate(),
                in_flight=in_flight,
            )
        )

    async def _summary(self) -> Summary:
        runtime = self._runtime
        ids = list(runtime.remote_ids.values())
        problems = [
            Problem(
                path=printable(job.path),
                folder=printable(job.folder),
                remote=job.remote,
                state=job.state.value,
                detail=job.detail,
            )
            for state in (State.FAILED, State.WAITING, State.QUEUED, State.UPLOADING)
            for job in await runtime.store.jobs(ids, state=state, limit=MOST_PROBLEMS)
        ]
        counts = await runtime.store.counts(ids)
        workers = runtime.scheduler.workers.values()
        return Summary(
            uploaded=self._ends[Outcome.UPLOADED],
            duplicate=self._ends[Outcome.DUPLICATE],
            skipped=self._ends[State.SKIPPED],
            failed=counts.jobs[State.FAILED],
            left=counts.pending + len(self._unsettled),
            problems=problems + self._unsettled[:MOST_PROBLEMS],
            unreachable=[worker.name for worker in workers if worker.state is not RemoteState.ONLINE],
            sent=runtime.bandwidth_limiter.meter.total,
            seconds=time.monotonic() - self._started,
        )

    def _left_by_the_scan(self) -> list[Problem]:
        """Return the files that the scan has left, as a program has them open or they keep changing."""
        folders = self._runtime.folders
        return [
            Problem(path=printable(path), folder=printable(folder), remote=remote, state="waiting", detail=reason)
            for folder, watch in folders.watches.items()
            for path, reason in watch.unsettled().items()
            for remote in folders.settings[folder].remotes
        ]
