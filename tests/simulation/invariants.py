"""The invariants at rest: each file has arrived or has a reason; no resource is in use."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.control.service import JobQuery
from syncd.upload.transfer import ASSEMBLY_TIMEOUT_SECONDS
from tests.simulation.faults import PERMANENT
from tests.simulation.files import contents
from tests.simulation.incarnation import STORE, Incarnation
from tests.simulation.plan import HEADER, TOKEN
from tests.simulation.selection import selects

if TYPE_CHECKING:
    from tests.simulation.world import World

REST_TIMEOUT_SECONDS = 1500.0
"""Simulated seconds until rest, at most: more than all backoffs, scans, waits and polls together."""
QUIET = 450.0
"""Simulated seconds until files may be deleted for which the system cannot report writers."""
_ROWS = """
SELECT f.folder, f.path, f.present, f.inode, f.size, f.mtime_ns, j.state, j.cause, j.detail, r.name
FROM files f JOIN jobs j ON j.file_id = f.id JOIN remotes r ON r.id = j.remote_id
"""
_CANCELLED = "cancelled by a person"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A job in the store's file, read without the product's code."""

    path: str
    remote: str
    present: bool
    fingerprint: tuple[int, int, int]
    state: str
    cause: str
    detail: str | None


class Invariants:
    """Waits for rest, and reports each broken promise to the world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._incarnation: Incarnation

    async def check(self, incarnation: Incarnation) -> None:
        """Wait for rest and check; retry the failed jobs, and check again."""
        world = self._world
        self._incarnation = incarnation
        await incarnation.orders_done()
        if incarnation.daemon.paused:
            await incarnation._start()
        if world.plan.patient and world.folder()["after_upload"] != "keep":
            await asyncio.sleep(QUIET)
        for last in (False, True):
            if not await self._rested(scanned=last):
                return
            self._inspect(last=last)
            world.removals.inspect()
            if not last and not world.violations:
                await incarnation.service.retry(None)
                await incarnation.service.rescan(None)
                world.trace("failed jobs are retried, and all is scanned")
        await self._bounds()
        await self._secrets()

    async def _rested(self, *, scanned: bool) -> bool:
        world, pause = self._world, 1.0
        deadline = world.now() + REST_TIMEOUT_SECONDS
        while (unrest := self._unrest(scanned=scanned)) and world.now() < deadline:
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 1.5)
        if unrest:
            world.report_violation("P1", f"after {REST_TIMEOUT_SECONDS:g} s without trouble: {unrest}")
        return not unrest

    # Promise 1.

    def _unrest(self, *, scanned: bool) -> str | None:
        """Return the reasons why the daemon is not at rest. A missing file may need another scan."""
        rows = {(row.path, row.remote): row for row in self._rows()}
        wanted = dict(self._wanted())
        bare = tuple(f"{root}/" for root in self._world.files.roots if not os.listdir(root))  # possibly mount points
        remotes = self._world.folder()["remote"]
        for (path, remote), row in rows.items():
            if remote not in remotes or (path not in wanted and os.path.lexists(path)):
                continue  # the folder or remote is no longer configured
            if row.state in ("queued", "uploading", "waiting"):
                return f"{path!r} for {remote} is {row.state}: {row.detail}"
            if row.state == "failed" and row.cause == "unreadable":
                return f"{path!r} for {remote} can be read again, and nobody noticed"
            if scanned and row.present and not os.path.lexists(path) and not path.startswith(bare):
                return f"{path!r} is not there, but the store thinks so"
        for path, status in wanted.items():
            for remote in remotes:
                found = rows.get((path, remote))
                if found is None or not found.present:
                    return f"{path!r} is not known for {remote}"
                if found.fingerprint != _stamp(status):
                    return f"{path!r} has changed, and nobody noticed"
        return None

    def _wanted(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder in self._world.settings()["folders"]:
            for directory, _, names in os.walk(folder["path"]):
                for name in names:
                    path = os.path.join(directory, name)
                    status = self._world.file_system.stat(path)
                    if selects(folder, path) and not stat.S_ISLNK(status.st_mode):
                        yield path, status

    def _rows(self) -> list[Row]:
        with closing(sqlite3.connect(f"{self._world.directory}/{STORE}")) as connection:
            rows = connection.execute(_ROWS).fetchall()
        return [
            Row(
                path=os.path.join(os.fsdecode(folder), os.fsdecode(path)),
                remote=remote,
                present=bool(present),
                fingerprint=(int(inode), size, int(mtime_ns)),
                state=state,
                cause=cause,
                detail=detail,
            )
            for folder, path, present, inode, size, mtime_ns, state, cause, detail, remote in rows
        ]

    def _inspect(self, *, last: bool) -> None:
        world = self._world
        wanted = dict(self._wanted())
        for row in self._rows():
            if row.path not in wanted or row.remote not in world.folder()["remote"]:
                continue
            problem = self._problem(row, wanted[row.path], last=last)
            if problem:
                world.report_violation(
                    "P1", f"{row.path!r} for {row.remote} is {row.state} ({row.detail}), but {problem}"
                )

    def _problem(self, row: Row, status: os.stat_result, *, last: bool) -> str | None:
        """Return the problem with the final state of a job, or None."""
        unfit = _unfit(status, self._world.folder()["max_size"])
        if unfit:
            right = row.state == "skipped" and (unfit in (row.detail or "") or row.detail == _CANCELLED)
            before = row.state == "done" and unfit.startswith("larger")  # uploaded while max_size was larger
            return None if right or before else f"the file is {unfit}"
        if row.state == "skipped":
            return None if row.detail == _CANCELLED else "nothing is wrong with the file"
        server = self._world.servers[row.remote]
        data = contents(row.path)
        if row.state == "done":
            unseen = server.digest(data) in self._world.files.disguised  # nothing reads a local file again
            excused = unseen or server.has(data) or server.lied_about(data) or server.digest(data) in server.losses
            return None if excused else "the server does not have it"
        if server.excused(data) or self._learned(row):
            return None
        if last or self._world.plan.gentle:
            return "nothing stands in its way"
        return None if self._may_fail(row) else "nothing that happened explains it"

    def _learned(self, row: Row) -> bool:
        """Return whether the server rejected a chunk as too large that it had asked for."""
        return "though it refused" in (row.detail or "") and bool(self._world.tally[f"{row.remote}: 413"])

    def _may_fail(self, row: Row) -> bool:
        tally = self._world.tally
        permanent = any(tally[f"{row.remote}: {status}"] for status in PERMANENT)
        foreign = any(what.startswith(f"{row.remote}: registered by somebody else") for what in tally)
        worn_out = "(tried " in (row.detail or "")
        return permanent or foreign or worn_out

    # Promise 5.

    async def _bounds(self) -> None:
        world = self._world
        # The upload of a file that the patterns leave out now may still wait until the server has assembled it.
        await _wait_until(lambda: not _uploads(), ASSEMBLY_TIMEOUT_SECONDS + 60)
        await _wait_until(lambda: not world.network.links, 30)
        inside = tuple(f"{root}/" for root in world.files.roots)
        left = [path for path in map(_target, os.listdir("/proc/self/fd")) if path.startswith(inside)]
        if left:
            world.report_violation("P5", f"at rest there are still open {left}")
        if world.network.links:
            world.report_violation("P5", f"at rest there are still {len(world.network.links)} connections after 30 s")
        names = sorted(task.get_name() for task in asyncio.all_tasks())
        if _uploads() or len(names) > 20 + 2 * len(world.servers):
            world.report_violation("P5", f"at rest there are still these tasks: {names}")

    # Promise 7.

    async def _secrets(self) -> None:
        world, service = self._world, self._incarnation.service
        page = await service.jobs(JobQuery(state=None, limit=100, before=None, search=None))
        shown = [await service.show(job["id"]) for job in page["jobs"]]
        places: dict[str, Any] = {
            "the status": repr(await service.status()),
            "the jobs": repr((page, shown)),
            "the log": "".join(world.log),
        }
        for name in os.listdir(world.directory):
            if name.startswith(STORE):
                places[name] = contents(os.path.join(world.directory, name)).decode("latin-1")
        for place, text in places.items():
            for secret in (TOKEN, HEADER):
                if secret in text:
                    at = text.index(secret)
                    world.report_violation("P7", f"a secret is in {place}: …{text[max(0, at - 80) : at + 80]!r}")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    if not stat.S_ISREG(status.st_mode):
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns


def _unfit(status: os.stat_result, max_size: int) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size == 0:
        return "empty"
    return "larger than max_size" if status.st_size > max_size else None


async def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait at most ``seconds`` for the condition."""
    while seconds > 0 and not condition():
        await asyncio.sleep(1)
        seconds -= 1


def _uploads() -> list[str]:
    """Return the names of the tasks that upload a file."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("upload:")]


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
