"""The daemon's answers to the control API."""

import asyncio
import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from syncd import __version__
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.control import steering as api
from syncd.control.targets import Target
from syncd.core.names import displayed
from syncd.core.states import State
from syncd.engine.lane import Lane
from syncd.store.jobs import JobRecord, Step

if TYPE_CHECKING:  # the two know each other; only one may import the other
    from syncd.daemon.service import Daemon


_CURSOR = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?:[0-9]{1,18}")
"""When a job last changed, and its id: where a page ends."""


class DaemonSteering(api.Steering):
    """Puts what store, engine and watches know into the shapes of the API."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon

    async def status(self) -> api.Status:
        """Return how the daemon is."""
        daemon, rooms = self._daemon, self._daemon.rooms
        ids = list(rooms.remote_ids.values())
        counts = await rooms.store.counts(ids)
        sent_of_running = sum(progress.sent for progress in rooms.scheduler.progress())
        pending = max(0, counts.pending_bytes - sent_of_running)
        rate = rooms.pace.meter.rate()
        return {
            "version": __version__,
            "state": "stopping" if daemon.ending.is_set() else "stopped" if daemon.stopped else "running",
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - daemon.started_at, 3),
            "folders": [await self._folder(path) for path in list(rooms.folders.watches)],
            "remotes": [
                self._remote(lane, rooms.config.remotes[name])
                for name, lane in rooms.scheduler.lanes.items()
                if name in rooms.config.remotes  # during a reload, one that goes may still be there
            ],
            "jobs": {state.value: counts.jobs[state] for state in State},
            "bytes": {"pending": pending, "sent": rooms.pace.meter.total, "per_second": round(rate, 1)},
            "eta_seconds": round(pending / rate, 1) if rate >= 1 else None if pending else 0.0,
        }

    async def _folder(self, path: str) -> api.FolderStatus:
        rooms = self._daemon.rooms
        status = rooms.folders.watches[path].status
        return {
            "path": displayed(path),
            "remotes": list(rooms.folders.settings[path].remotes),
            "state": status.state,
            "watch": status.watch,
            "files": await rooms.store.files_count(path),
            "detail": status.detail,
        }

    def _remote(self, lane: Lane, settings: ImageRemote | MultipartRemote) -> api.RemoteStatus:
        breaker = lane.line.breaker
        down = lane.line.down
        return {
            "name": lane.name,
            "type": settings.type,
            "url": settings.url,
            "state": lane.state.value,
            "detail": str(breaker.reason) if down else None,
            "retry_in_seconds": round(max(0.0, (breaker.probe_at or 0.0) - lane.line.clock()), 1) if down else None,
        }

    async def start(self) -> None:
        """Upload again."""
        await self._daemon.start()

    async def stop(self, *, now: bool) -> None:
        """Upload no more."""
        await self._daemon.stop(now=now)

    async def rescan(self, path: str | None) -> None:
        """Begin a scan of the folder that holds ``path``, or of all."""
        watches = self._daemon.rooms.folders.watches
        if path is None:
            for watch in watches.values():
                watch.request_rescan()
            return
        for folder, watch in watches.items():
            if f"{path}/".startswith(os.path.join(folder, "")):
                watch.request_rescan(path)
                return
        raise api.NotFound(f"{displayed(path)} is in none of the watched folders")

    async def jobs(self, query: api.JobQuery) -> api.JobPage:
        """Return a page of jobs."""
        rooms = self._daemon.rooms
        found = await rooms.store.jobs(
            list(rooms.remote_ids.values()),
            state=query.state,
            limit=query.limit + 1,
            before=_cursor(query.before),
            search=query.search,
        )
        page = found[: query.limit]
        more = len(found) > query.limit
        return {
            "jobs": self._described(page),
            "next": f"{page[-1].updated_at!r}:{page[-1].id}" if more else None,
        }

    async def show(self, target: Target) -> list[api.JobDetail]:
        """Return the jobs of a file, one a remote, or the job of an id."""
        store = self._daemon.rooms.store
        records = await self._find(target)
        return [
            {**job, "history": [_step(step) for step in await store.history(job["id"])]}
            for job in self._described(records)
        ]

    def _described(self, records: Sequence[JobRecord]) -> list[api.Job]:
        """Put jobs into the API's shape, those in flight with how much has arrived."""
        sent = {progress.job.id: progress.sent for progress in self._daemon.rooms.scheduler.progress()}
        return [_job(record, sent.get(record.id)) for record in records]

    async def _find(self, target: Target) -> list[JobRecord]:
        rooms = self._daemon.rooms
        if isinstance(target, int):
            record = await rooms.store.job(target)
            if record is None:
                raise api.NotFound(f"there is no job {target}")
            return [record]
        records = await rooms.store.jobs_of(target, list(rooms.folders.watches))
        if records:
            return records
        raise api.NotFound(f"{displayed(target)}: {await asyncio.to_thread(self._why_unknown, target)}")

    def _why_unknown(self, path: str) -> str:
        """Say why a path has no job, as far as that is plain."""
        for folder, watch in self._daemon.rooms.folders.watches.items():
            if path.startswith(os.path.join(folder, "")):
                if not os.path.lexists(path):
                    return "there is no such file"
                if watch.settling(os.path.relpath(path, folder)):
                    return "not taken yet: the file is still being written, or was a moment ago"
                return "not known: its name is left out by include or exclude, or it has not been seen yet (rescan)"
        return "it is in none of the watched folders"

    async def retry(self, targets: Sequence[Target] | None) -> int:
        """Queue these jobs again, or all that failed."""
        store = self._daemon.rooms.store
        if targets is None:
            return len(await store.retry())
        return len(await store.retry(await self._ids(targets)))

    async def cancel(self, targets: Sequence[Target]) -> int:
        """Give these jobs up, those uploading too."""
        rooms = self._daemon.rooms
        cancelled = await rooms.store.cancel(await self._ids(targets))
        await rooms.scheduler.cancel(set(cancelled))
        return len(cancelled)

    async def _ids(self, targets: Sequence[Target]) -> list[int]:
        return [record.id for target in targets for record in await self._find(target)]

    async def reload(self) -> list[str]:
        """Take over the configuration as it is now."""
        return await self._daemon.reload()

    async def shutdown(self) -> None:
        """Begin to end the process."""
        self._daemon.end()


def _cursor(text: str | None) -> tuple[float, int] | None:
    if text is None:
        return None
    if not _CURSOR.fullmatch(text):
        raise api.Invalid("before: not a cursor that an earlier answer gave as next")
    at, _, number = text.partition(":")
    return float(at), int(number)


def _job(record: JobRecord, sent: int | None) -> api.Job:
    due = max(0.0, record.due_at - time.time()) if record.due_at is not None else None
    job: api.Job = {
        "id": record.id,
        "path": displayed(os.path.join(record.folder, record.path)),
        "folder": displayed(record.folder),
        "remote": record.remote,
        "state": record.state.value,
        "outcome": record.outcome.value if record.outcome else None,
        "detail": record.detail,
        "size": record.size,
        "attempts": record.attempts,
        "due_in_seconds": round(due, 1) if due is not None else None,
        "updated_at": _iso(record.updated_at),
        "ref": record.ref,
    }
    if sent is not None and record.state is State.UPLOADING:
        job["sent"] = sent
    return job


def _step(step: Step) -> api.Step:
    return {"at": _iso(step.at), "state": step.after.value, "cause": step.cause.value, "detail": step.detail}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
