"""``syncd once``: scans the folders, uploads all queued jobs, and returns a summary."""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from syncd.asyncio_tools import background_task, cancel_and_wait
from syncd.config.model import Config
from syncd.core.progress import FileProgress, WorkProgress
from syncd.core.states import WAITS_FOR_WATCH, Cause, Outcome, State
from syncd.core.text import printable
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.runtime import ListenerOrder, Runtime, open_runtime
from syncd.daemon.unreadable_files import UnreadableFiles
from syncd.store.records import Change
from syncd.upload.transfer import Progress
from syncd.upload.upload import STOPPED
from syncd.upload.worker import RemoteState, RemoteWorker
from syncd.watch.folder import FolderWatch
from syncd.watch.patterns import LeftOut

log = structlog.get_logger()

MAX_ATTEMPTS = 4
"""Attempts per file, and probes per server, before the pass leaves them to the next pass."""
MAX_PROBLEMS = 100
"""Problems in the summary, per state."""
POLL_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A file that was not uploaded, or a directory that was not scanned.

    ``state`` is the state of the job, or ``unscanned``. ``path`` is relative, and empty for the folder itself.
    """

    path: str
    folder: str
    remote: str
    state: str
    detail: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The result of a pass.

    Counts uploads: a file counts once for each of its remotes.
    """

    uploaded: int
    duplicate: int
    skipped: int
    left_out: int
    """Files that the patterns leave out, counted once each."""
    left_out_videos: int
    """How many of them are videos."""
    failed: int
    """All failed uploads, including those of earlier passes; they need ``syncd ctl retry``."""
    left: int
    """Uploads for the next pass."""
    problems: list[Problem]
    """The failed and remaining files, and the directories that could not be scanned; at most :data:`MAX_PROBLEMS` of
    each kind."""
    unscanned: int
    """Directories that could not be scanned, such as a missing folder: their files are unknown."""
    unreachable: list[str]
    """Remotes that are unreachable or reject the token."""
    sent: int
    """Bytes sent."""
    seconds: float


async def once(config: Config, *, on_progress: Callable[[WorkProgress], None] | None = None) -> Summary:
    """Run a single pass. StoreError if the store cannot be used."""
    errors: list[BaseException] = []

    def failed(error: BaseException) -> None:
        errors.append(error)
        work.cancel()

    async with open_runtime(config, failed=failed, restore_paused=False) as runtime:
        work = asyncio.create_task(_Pass(runtime, on_progress).run())
        try:
            return await work
        except asyncio.CancelledError:
            if errors:
                raise errors[0] from None
            raise
        finally:
            await cancel_and_wait(work)


class _Pass:
    """One pass and its counts."""

    def __init__(self, runtime: Runtime, on_progress: Callable[[WorkProgress], None] | None) -> None:
        self._runtime = runtime
        self._on_progress = on_progress or (lambda _: None)
        self._started = time.monotonic()
        self._finished: Counter[str] = Counter()
        self._deferred: Counter[int] = Counter()
        self._left: defaultdict[str, set[int]] = defaultdict(set)  # jobs that this pass gives up, by remote
        self._failure_details: dict[int, str] = {}  # the last one of each job
        self._unsettled: list[Problem] = []
        self._scanning = True
        runtime.store.changes.subscribe(self._count, order=ListenerOrder.ONCE)

    def _count(self, change: Change) -> None:
        if change.after is State.DONE:
            self._finished[str(change.outcome)] += 1
        elif change.cause in (Cause.UNFIT, Cause.REFUSED, Cause.UNREADABLE):
            self._finished[change.after] += 1
        if change.cause is Cause.DEFERRED:
            self._deferred[change.job_id] += 1
        attempts_used_up = self._deferred[change.job_id] >= MAX_ATTEMPTS or change.detail in WAITS_FOR_WATCH
        given_up = change.after is State.WAITING and attempts_used_up
        left = self._left[change.remote]
        left.add(change.job_id) if given_up else left.discard(change.job_id)
        if change.cause in (Cause.DEFERRED, Cause.RELEASED) and change.detail and change.detail != STOPPED:
            self._failure_details[change.job_id] = change.detail

    async def run(self) -> Summary:
        runtime = self._runtime
        after_upload = AfterUploadTask(runtime)
        unreadable_files = UnreadableFiles(runtime)
        await unreadable_files.load()
        await after_upload.recover()
        async with background_task(self._report_loop()):
            for watch in runtime.folders.watches.values():
                await watch.scan_once()
            await unreadable_files.check()
            self._unsettled = self._unsettled_files()
            self._scanning = False
            while await self._unfinished():
                await self._report()
                await asyncio.sleep(POLL_INTERVAL_SECONDS)
            await runtime.scheduler.stop()
            await after_upload.configure()
            await after_upload.sweep()
        await self._report()
        return await self._summary()

    async def _unfinished(self) -> bool:
        """Return whether some remote still has jobs that this pass may finish."""
        runtime = self._runtime
        for name, worker in runtime.scheduler.workers.items():
            if _given_up(worker):
                continue
            if await runtime.store.unfinished([runtime.remote_ids[name]]) > len(self._left[name]):
                return True
        return False

    async def _report_loop(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _report(self) -> None:
        runtime = self._runtime
        counts = await runtime.store.counts(list(runtime.remote_ids.values()))
        in_flight = runtime.scheduler.progress()
        self._on_progress(
            WorkProgress(
                done=self._finished[Outcome.UPLOADED] + self._finished[Outcome.DUPLICATE],
                left=counts.pending,
                failed=self._finished[State.FAILED],
                pending=max(0, counts.pending_bytes - sum(progress.sent for progress in in_flight)),
                per_second=runtime.bandwidth_limiter.meter.rate(),
                scanning=self._scanning,
                files=[_file_progress(progress) for progress in in_flight],
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
                detail=self._failure_details.get(job.id, STOPPED) if job.detail == STOPPED else job.detail,
            )
            for state in (State.FAILED, State.WAITING, State.QUEUED, State.UPLOADING)
            for job in await runtime.store.jobs(ids, state=state, limit=MAX_PROBLEMS)
        ]
        unscanned = self._unscanned_directories()
        counts = await runtime.store.counts(ids)
        workers = runtime.scheduler.workers.values()
        left_out = [watch.status.left_out or LeftOut() for watch in runtime.folders.watches.values()]
        return Summary(
            uploaded=self._finished[Outcome.UPLOADED],
            duplicate=self._finished[Outcome.DUPLICATE],
            skipped=self._finished[State.SKIPPED],
            left_out=sum(each.files for each in left_out),
            left_out_videos=sum(each.videos for each in left_out),
            failed=counts.jobs[State.FAILED],
            left=counts.pending + len(self._unsettled),
            problems=problems + self._unsettled[:MAX_PROBLEMS] + unscanned[:MAX_PROBLEMS],
            unscanned=len({(each.folder, each.path) for each in unscanned}),
            unreachable=[
                worker.name for worker in workers if worker.state is not RemoteState.ONLINE or _given_up(worker)
            ],
            sent=runtime.bandwidth_limiter.meter.total,
            seconds=time.monotonic() - self._started,
        )

    def _unsettled_files(self) -> list[Problem]:
        """Return the files that the scan has skipped because they are in use or still changing."""
        return self._problems(FolderWatch.unsettled, "waiting")

    def _unscanned_directories(self) -> list[Problem]:
        """Return the directories that the scan could not read, whose files are unknown."""
        return self._problems(FolderWatch.unscanned, "unscanned")

    def _problems(self, found: Callable[[FolderWatch], Mapping[str, str]], state: str) -> list[Problem]:
        """Return a problem for each path in ``found`` and each remote of its folder."""
        folders = self._runtime.folders
        return [
            Problem(path=printable(path), folder=printable(folder), remote=remote, state=state, detail=reason)
            for folder, watch in folders.watches.items()
            for path, reason in found(watch).items()
            for remote in folders.settings[folder].remotes
        ]


def _given_up(worker: RemoteWorker) -> bool:
    """Return whether the pass leaves the jobs of a remote to the next pass."""
    return worker.status().failures >= MAX_ATTEMPTS


def _file_progress(progress: Progress) -> FileProgress:
    return FileProgress(
        name=printable(os.path.basename(progress.job.path)),
        label=progress.stage,
        size=progress.job.size,
        sent=progress.sent,
    )
