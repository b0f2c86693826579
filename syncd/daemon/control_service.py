"""The daemon's answers to the control API."""

import asyncio
import os
from collections.abc import Sequence
from typing import TypedDict

from syncd import __version__, logs
from syncd.asyncio_tools import run_until
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.control import service as api
from syncd.control import shapes, targets
from syncd.control.events import Hub
from syncd.control.targets import Target
from syncd.core.states import IN_USE, State
from syncd.core.text import printable
from syncd.daemon import cursors, metrics, serializers, settings
from syncd.daemon.lifecycle import Lifecycle
from syncd.daemon.local_files import LocalFiles
from syncd.daemon.online_verify import verify_jobs
from syncd.paths import inside
from syncd.platform.file_info import on_disk_case
from syncd.platform.files import join_path
from syncd.store.records import JobFilter, JobRecord
from syncd.upload.throttle import STEP
from syncd.upload.worker import RemoteWorker
from syncd.watch.folder import NOT_QUIET


class _Work(TypedDict):
    """What is left to do, as status and progress tell it."""

    jobs: dict[str, int]
    bytes: shapes.Bytes
    eta_seconds: float | None


class DaemonControlService(api.ControlService):
    """Puts what store, engine and watches know into the shapes of the API."""

    def __init__(self, daemon: Lifecycle) -> None:
        self._daemon = daemon

    @property
    def events(self) -> Hub:
        """Return where to listen to what happens."""
        return self._daemon.hub

    @property
    def files(self) -> LocalFiles:
        """Return who has the local files."""
        return self._daemon.files

    async def health(self) -> str | None:
        """Return None, or why the daemon does not do its work."""
        if self._daemon.shutdown_requested.is_set():
            return "the daemon is ending"
        if not self._daemon.runtime.store.alive:
            return "the job store's writer is stuck or dead: see the log, then restart the daemon"
        return None

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics for Prometheus."""
        return await metrics.scrape(self._daemon)

    async def status(self) -> shapes.Status:
        """Return how the daemon is."""
        daemon = self._daemon
        return {
            "version": __version__,
            "state": daemon.state,
            "store_blocked": daemon.runtime.store.blocked,
            "pid": os.getpid(),
            "uptime_seconds": round(daemon.uptime, 3),
            "folders": await self.folders(),
            "remotes": await self.remotes(),
            **await self._work(),
            "dashboard": daemon.dashboard.url if daemon.dashboard else None,
        }

    async def _work(self) -> _Work:
        runtime = self._daemon.runtime
        counts = await runtime.store.counts(list(runtime.remote_ids.values()))
        sent_of_running = sum(progress.sent for progress in runtime.scheduler.progress())
        pending = max(0, counts.pending_bytes - sent_of_running)
        rate = runtime.bandwidth_limiter.meter.rate()
        return {
            "jobs": {state.value: counts.jobs[state] for state in State},
            "bytes": {"pending": pending, "sent": runtime.bandwidth_limiter.meter.total, "per_second": round(rate, 1)},
            "eta_seconds": round(pending / rate, 1) if rate >= 1 else None if pending else 0.0,
        }

    async def progress(self) -> shapes.Progress:
        """Return what is in flight, and what is left to do."""
        workers = self._daemon.runtime.scheduler.workers.values()
        flights = [serializers.flight(worker.name, progress) for worker in workers for progress in worker.progress()]
        return {"flights": flights, **await self._work()}

    def daemon_event(self) -> shapes.DaemonEvent:
        """Return the daemon's state, and what it has."""
        config = self._daemon.runtime.config
        return {
            "state": self._daemon.state,
            "store_blocked": self._daemon.runtime.store.blocked,
            "folders": [printable(folder.path) for folder in config.folders],
            "remotes": list(config.remotes),
        }

    async def folders(self) -> list[shapes.FolderStatus]:
        """Return how the watched folders are."""
        runtime = self._daemon.runtime
        files = {path: await runtime.store.files_count(path) for path in list(runtime.folders.watches)}
        return [self._folder(path, files[path]) for path in runtime.folders.watches if path in files]

    async def remotes(self) -> list[shapes.RemoteStatus]:
        """Return how the servers are."""
        runtime = self._daemon.runtime
        return [
            self._remote(worker, runtime.config.remotes[name])
            for name, worker in runtime.scheduler.workers.items()
            if name in runtime.config.remotes  # during a reload, one that goes may still be there
        ]

    async def log(self, query: api.LogQuery) -> list[shapes.LogEvent]:
        """Return what was logged last."""
        return logs.recent_events(limit=query.limit, level=query.level, event=query.event, text=query.text)

    async def throughput(self) -> shapes.Throughput:
        """Return how much was sent when."""
        return {"step_seconds": STEP, "bytes": self._daemon.runtime.bandwidth_limiter.meter.history.sums()}

    async def settings(self) -> shapes.Settings:
        """Return the configuration that holds."""
        return settings.document(self._daemon.loaded, self._daemon.runtime.limits)

    async def limit(self, limits: api.Limits) -> None:
        """Go by these limits until the next reload."""
        await self._daemon.limit(limits)

    def _folder(self, path: str, files: int) -> shapes.FolderStatus:
        runtime = self._daemon.runtime
        status = runtime.folders.watches[path].status
        return {
            "path": printable(path),
            "uri": targets.encode(path),
            "remotes": list(runtime.folders.settings[path].remotes),
            "state": status.state,
            "watch": status.watch,
            "files": files,
            "detail": "; ".join(filter(None, (status.detail, self._daemon.after_upload.detail(path)))) or None,
        }

    def _remote(self, worker: RemoteWorker, settings: ImageRemote | MultipartRemote) -> shapes.RemoteStatus:
        status = worker.status()
        return {
            "name": worker.name,
            "type": settings.type,
            "url": settings.url,
            "state": status.state.value,
            "detail": status.reason,
            "retry_in_seconds": None if status.retry_in_seconds is None else round(status.retry_in_seconds, 1),
            "credentials_problem": self._daemon.renewal.problems.get(worker.name),
        }

    async def start(self) -> None:
        """Upload again."""
        await self._daemon.resume()

    async def stop(self, *, now: bool) -> None:
        """Upload no more."""
        await self._daemon.pause(now=now)

    async def rescan(self, path: str | None) -> None:
        """Begin a scan of the folder that holds ``path``, or of all."""
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

    async def jobs(self, query: api.JobQuery) -> shapes.JobPage:
        """Return a page of jobs."""
        runtime = self._daemon.runtime
        if query.remote is not None and query.remote not in runtime.remote_ids:
            raise api.NotFoundError(f"there is no remote {printable(query.remote)}")
        page = await runtime.store.page(
            JobFilter(
                remote_ids=[number for name, number in runtime.remote_ids.items() if query.remote in (None, name)],
                state=query.state,
                folder=query.folder,
                search=query.search,
                sort=query.sort,
                after=cursors.decode(query.before, query.sort),
                limit=query.limit,
                sibling_remote_ids=list(runtime.remote_ids.values()) if query.siblings else (),
            )
        )
        return {
            "jobs": self._described(page.jobs),
            "siblings": self._described(page.siblings),
            "next": cursors.encode(page.next, query.sort),
            "partial": page.partial,
        }

    async def show(self, target: Target) -> list[shapes.JobDetail]:
        """Return the jobs of a file, one a remote, or the job of an id."""
        store = self._daemon.runtime.store
        records = await self._find(target)
        return [
            {**job, "history": [serializers.step(step) for step in await store.history(job["id"])]}
            for job in self._described(records)
        ]

    def _described(self, records: Sequence[JobRecord]) -> list[shapes.Job]:
        """Put jobs into the API's shape, those in flight with how much has arrived."""
        sent = {progress.job.id: progress.sent for progress in self._daemon.runtime.scheduler.progress()}
        return [serializers.job(record, sent.get(record.id)) for record in records]

    async def _find(self, target: Target) -> list[JobRecord]:
        runtime = self._daemon.runtime
        if isinstance(target, int):
            record = await runtime.store.job(target)
            if record is None:
                raise api.NotFoundError(f"there is no job {target}")
            return [record]
        folders = list(runtime.folders.watches)
        records = await runtime.store.jobs_of(await asyncio.to_thread(_as_on_disk, target, folders), folders)
        if records:
            return records
        raise api.NotFoundError(f"{printable(target)}: {await asyncio.to_thread(self._why_unknown, target)}")

    def _why_unknown(self, path: str) -> str:
        """Say why a path has no job, as far as that is plain."""
        for folder, watch in self._daemon.runtime.folders.watches.items():
            if relative := inside(folder, path):
                if not os.path.lexists(join_path(folder, relative)):
                    return "there is no such file"
                if watch.in_use(relative):
                    return f"not taken yet: it is {IN_USE}, and is uploaded when that closes it"
                if watch.settling(relative):
                    return f"not taken yet: the file is {NOT_QUIET}"
                return "not known: its name is left out by include or exclude, or it has not been seen yet (rescan)"
        return "it is in none of the watched folders"

    async def retry(self, targets: Sequence[Target] | None) -> int:
        """Queue these jobs again, or all that failed."""
        store = self._daemon.runtime.store
        if targets is None:
            return len(await store.retry())
        return len(await store.retry(await self._ids(targets)))

    async def cancel(self, targets: Sequence[Target]) -> int:
        """Give these jobs up, those uploading too."""
        runtime = self._daemon.runtime
        cancelled = await runtime.store.cancel(await self._ids(targets))
        await runtime.scheduler.cancel(set(cancelled))
        return len(cancelled)

    async def verify(self, targets: Sequence[Target], *, repair: bool) -> shapes.Verified:
        """Compare the servers' copies of these jobs."""
        records = {record.id: record for target in targets for record in await self._find(target)}
        work = verify_jobs(self._daemon.runtime, list(records.values()), repair=repair)
        verified = await run_until(self._daemon.shutdown_requested, work)
        if verified is None:
            raise api.BusyError("the daemon is ending: ask again when it is back")
        return verified

    async def _ids(self, targets: Sequence[Target]) -> list[int]:
        return [record.id for target in targets for record in await self._find(target)]

    async def reload(self) -> list[str]:
        """Take over the configuration as it is now."""
        return await self._daemon.reload()

    async def dashboard(self) -> str:
        """Return an address that opens the dashboard."""
        dashboard = self._daemon.dashboard
        if dashboard is None:
            path = self._daemon.loaded.path
            raise api.NotFoundError(f"the dashboard is off: set control.dashboard in {path}, then restart the daemon")
        return dashboard.login_url()

    async def shutdown(self) -> None:
        """Begin to end the process."""
        self._daemon.request_shutdown()


def _as_on_disk(path: str, folders: Sequence[str]) -> str:
    """Return a path as the store has it, if it is that of a file that is there."""
    for folder in folders:
        if relative := inside(folder, path):
            return os.path.join(folder, on_disk_case(folder, relative) or relative)
    return path
