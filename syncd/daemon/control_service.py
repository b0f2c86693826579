"""Implements the control API for the running daemon.

:mod:`syncd.daemon.serializers` converts the values of the store and the uploads to JSON documents.
"""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TypedDict

from syncd import __version__, logs
from syncd.asyncio_tools import run_until
from syncd.control import event_schemas, schemas
from syncd.control import service as api
from syncd.control.events import Hub
from syncd.control.job_targets import Target
from syncd.core.states import Cause, State, sources
from syncd.core.text import printable
from syncd.daemon import serializers, target_jobs
from syncd.daemon.lifecycle import Lifecycle
from syncd.daemon.local_files import LocalFiles
from syncd.daemon.online_verify import verify_jobs
from syncd.paths import inside
from syncd.store.records import PENDING, JobFilter, JobRecord, Page
from syncd.upload.throttle import STEP_SECONDS


class _RemainingWork(TypedDict):
    """The remaining work, a part of status and progress."""

    jobs: dict[str, int]
    unreadable_files: int
    bytes: schemas.ByteCounts
    eta_seconds: float | None
    sync: schemas.SyncProgress


class DaemonControlService(api.ControlService):
    """Answers with the state of store, uploads and watches, and passes commands to the daemon."""

    def __init__(self, daemon: Lifecycle) -> None:
        self._daemon = daemon

    @property
    def events(self) -> Hub:
        """Return the hub that publishes the daemon's events."""
        return self._daemon.hub

    @property
    def files(self) -> LocalFiles:
        """Return the access to the files in the watched folders."""
        return self._daemon.files

    async def health(self) -> str | None:
        """Return None if the daemon works, otherwise the reason."""
        if self._daemon.shutdown_requested.is_set():
            return "the daemon is ending"
        store = self._daemon.runtime.store
        if not store.alive:
            return "the job store's writer is stuck or dead: see the log, then restart the daemon"
        return None if store.blocked is None else f"the job store cannot be written: {store.blocked}"

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics for Prometheus."""
        from syncd.daemon import metrics  # noqa: PLC0415 - loads prometheus_client, which few daemons need

        return await metrics.scrape(self._daemon)

    async def status(self) -> schemas.Status:
        """Return the state of the daemon."""
        daemon = self._daemon
        return {
            "version": __version__,
            "state": daemon.state,
            "stopped_until": serializers.instant(daemon.paused_until),
            "store_blocked": daemon.runtime.store.blocked,
            "pid": os.getpid(),
            "uptime_seconds": round(daemon.uptime, 3),
            "folders": await self.folders(),
            "remotes": await self.remotes(),
            **await self._remaining_work(),
            "dashboard": daemon.dashboard.url if daemon.dashboard else None,
        }

    async def _remaining_work(self) -> _RemainingWork:
        runtime = self._daemon.runtime
        counts = await runtime.store.counts(list(runtime.remote_ids.values()))
        sent_of_running = sum(progress.sent for progress in runtime.scheduler.progress())
        pending = max(0, counts.pending_bytes - sent_of_running)
        rate = runtime.bandwidth_limiter.meter.rate()
        eta = runtime.sync.eta(counts, pending)
        return {
            "jobs": {state.value: counts.jobs[state] for state in State},
            "unreadable_files": self._daemon.unreadable_files.count,
            "bytes": {"pending": pending, "sent": runtime.bandwidth_limiter.meter.total, "per_second": round(rate, 1)},
            "eta_seconds": None if eta is None else round(eta, 1),
            "sync": runtime.sync.progress(counts),
        }

    async def progress(self) -> event_schemas.Progress:
        """Return the uploads in flight and the remaining work."""
        workers = self._daemon.runtime.scheduler.workers.values()
        flights = [serializers.flight(worker.name, progress) for worker in workers for progress in worker.progress()]
        return {"flights": flights, **await self._remaining_work()}

    def daemon_event(self) -> event_schemas.DaemonEvent:
        """Return the daemon's state and the names of its folders and remotes."""
        config = self._daemon.runtime.config
        return {
            "state": self._daemon.state,
            "stopped_until": serializers.instant(self._daemon.paused_until),
            "store_blocked": self._daemon.runtime.store.blocked,
            "folders": [printable(folder.path) for folder in config.folders],
            "remotes": list(config.remotes),
        }

    async def folders(self) -> list[schemas.FolderStatus]:
        """Return the state of each watched folder."""
        runtime = self._daemon.runtime
        files = {path: await runtime.store.files_count(path) for path in list(runtime.folders.watches)}
        return [
            serializers.folder_status(
                path,
                watch.status,
                runtime.folders.settings[path].remotes,
                files[path],
                self._daemon.after_upload.detail(path),
            )
            for path, watch in runtime.folders.watches.items()
            if path in files  # a reload can add a folder while the files are counted
        ]

    async def remotes(self) -> list[schemas.RemoteStatus]:
        """Return the state of each remote."""
        runtime = self._daemon.runtime
        return [
            serializers.remote_status(worker, runtime.config.remotes[name], self._daemon.renewal.problems.get(name))
            for name, worker in runtime.scheduler.workers.items()
            if name in runtime.config.remotes  # during a reload, the worker of a removed remote can still exist
        ]

    async def log(self, query: api.LogQuery) -> list[schemas.LogEvent]:
        """Return the last log events."""
        return logs.recent_events(limit=query.limit, level=query.level, event=query.event, text=query.text)

    async def throughput(self) -> schemas.Throughput:
        """Return the bytes sent in each time step."""
        return {"step_seconds": STEP_SECONDS, "bytes": self._daemon.runtime.bandwidth_limiter.meter.history.sums()}

    async def settings(self) -> schemas.Settings:
        """Return the configuration and the current limits."""
        return serializers.settings(self._daemon.loaded, self._daemon.runtime.limits)

    async def limit(self, limits: api.Limits) -> None:
        """Apply limits until the next reload."""
        await self._daemon.limit(limits)

    async def start(self) -> None:
        """Resume uploading."""
        await self._daemon.resume()

    async def stop(self, *, now: bool, until: datetime | None = None) -> None:
        """Pause uploading, at the longest until ``until``."""
        if until is not None and until <= datetime.now(UTC):
            raise api.InvalidRequestError("until must be in the future")
        await self._daemon.pause(now=now, until=until)

    async def rescan(self, path: str | None) -> None:
        """Start a scan of the folder that contains ``path``, or of all folders."""
        watches = self._daemon.runtime.folders.watches
        if path is None:
            for watch in watches.values():
                watch.request_rescan()
            return
        for folder, watch in watches.items():
            if inside(folder, path) is not None:
                watch.request_rescan(path)
                return
        raise api.NotFoundError(f"{printable(path)} is in none of the watched folders")

    async def probe(self, remote: str) -> None:
        """Send the next probe of a remote that is not online at once."""
        worker = self._daemon.runtime.scheduler.workers.get(remote)
        if worker is None:
            raise api.NotFoundError(f"there is no remote {printable(remote)}")
        worker.probe_now()

    async def jobs(self, query: api.JobQuery) -> schemas.JobPage:
        """Return a page of jobs."""
        return self._page(await self._daemon.runtime.store.page(self._filter(query)), query)

    async def job_snapshot(self, query: api.JobQuery) -> AsyncGenerator[schemas.JobPage]:
        """Yield the jobs at one moment, page by page."""
        async with aclosing(self._daemon.runtime.store.snapshot(self._filter(query))) as pages:
            async for page in pages:
                yield self._page(page, query)

    def _filter(self, query: api.JobQuery) -> JobFilter:
        remote_ids = self._daemon.runtime.remote_ids
        if query.remote is not None and query.remote not in remote_ids:
            known = ", ".join(remote_ids)
            raise api.NotFoundError(f"there is no remote {printable(query.remote)}; the remotes are: {known}")
        return JobFilter(
            remote_ids=[number for name, number in remote_ids.items() if query.remote in (None, name)],
            states=PENDING if query.state == "pending" else (query.state,) if query.state else (),
            folder=query.folder,
            search=query.search,
            sort=query.sort,
            after=serializers.decode_cursor(query.before, query.sort),
            limit=query.limit,
            sibling_remote_ids=list(remote_ids.values()) if query.siblings else (),
        )

    def _page(self, page: Page, query: api.JobQuery) -> schemas.JobPage:
        return {
            "jobs": self._serialize(page.jobs),
            "siblings": self._serialize(page.siblings),
            "next": serializers.encode_cursor(page.next, query.sort),
        }

    async def show(self, target: Target) -> list[schemas.JobDetail]:
        """Return the jobs of a file, or the job with an id, with their history."""
        store = self._daemon.runtime.store
        records = await self._find([target])
        return [
            {**job, "history": [serializers.step(step) for step in await store.history(job["id"])]}
            for job in self._serialize(records)
        ]

    def _serialize(self, records: Sequence[JobRecord]) -> list[schemas.Job]:
        """Return jobs as documents, with the bytes that have arrived for those in flight."""
        sent = {progress.job.id: progress.sent for progress in self._daemon.runtime.scheduler.progress()}
        return [serializers.job(record, sent.get(record.id)) for record in records]

    async def _find(self, targets: Sequence[Target]) -> list[JobRecord]:
        return [record for target in targets for record in await target_jobs.find(self._daemon.runtime, target)]

    async def retry(self, targets: Sequence[Target] | None, state: State | None = None) -> int:
        """Queue jobs of files, folders and ids again, or all failed jobs for None.

        ``state`` restricts them to the jobs in this state. If ``targets`` is None, it selects all jobs in this state.
        """
        store = self._daemon.runtime.store
        if targets is None:
            ids = None if state is None else await store.ids_in_states([state])
            return len(await store.retry(ids, backlog=True))
        found = target_jobs.InStates([state] if state else sources(Cause.RETRIED))
        for target in targets:
            await found.add(self._daemon.runtime, target)
        return len(await store.retry(found.named)) + len(await store.retry(found.below, backlog=True))

    async def cancel(self, targets: Sequence[Target] | None) -> int:
        """Cancel jobs, including those that are uploading; all unfinished jobs for None."""
        runtime = self._daemon.runtime
        if targets is None:
            ids = await runtime.store.ids_in_states(PENDING)
        else:
            ids = [record.id for record in await self._find(targets)]
        cancelled = await runtime.store.cancel(ids)
        await runtime.scheduler.cancel(set(cancelled))
        return len(cancelled)

    async def verify(self, targets: Sequence[Target], *, repair: bool) -> schemas.VerifyResults:
        """Download and compare the copies of these jobs."""
        records = {record.id: record for record in await self._find(targets)}
        work = verify_jobs(self._daemon.runtime, list(records.values()), repair=repair)
        verified = await run_until(self._daemon.shutdown_requested, work)
        if verified is None:
            raise api.BusyError("the daemon is ending: ask again when it is back")
        return verified

    async def reload(self) -> list[str]:
        """Apply the configuration file."""
        return await self._daemon.reload()

    async def dashboard(self) -> str:
        """Return an address that logs one browser into the dashboard."""
        dashboard = self._daemon.dashboard
        if dashboard is None:
            path = self._daemon.loaded.path
            raise api.NotFoundError(f"the dashboard is off: set control.dashboard in {path}, then restart the daemon")
        return dashboard.login_url()

    async def shutdown(self) -> None:
        """Start the shutdown of the process."""
        self._daemon.request_shutdown()
