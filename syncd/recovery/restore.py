"""Bringing back what was uploaded, under its own names and with its own times. Never over a file that is there."""

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from syncd.config.model import Config
from syncd.core.errors import Failure, Permanent, Transient, Unauthorized
from syncd.core.text import printable
from syncd.recovery.fetch import FetchProgress, FetchSession, Flight, Snapshot, for_each, open_fetch_session
from syncd.recovery.target import PartialFile, RestoreTarget, TargetFile, UnsafeNameError
from syncd.remotes.base import Taker
from syncd.store.copies import Copy, PathScope, RecordedFile

ANOTHER = "another file is there, and it is left as it is"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What every other file would meet too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A file that was not brought back; ``state`` is ``failed`` or ``unreachable``."""

    path: str
    folder: str
    state: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was done."""

    restored: int
    there: int
    """Files that were there already, with the same bytes."""
    failed: int
    unreachable: int
    """Files that no server could be asked for."""
    not_uploaded: int
    """Files that were here when last looked, and have not been uploaded as they were then."""
    problems: list[Problem]
    fetched: int
    """Bytes."""
    seconds: float


async def restore(
    config: Config, places: Sequence[PathScope], target: str, *, on_progress: Callable[[Snapshot], None] | None = None
) -> Report:
    """Bring the files of ``places`` back, below the folder ``target``.

    StoreError if the store can't be read; OSError if nothing can be written there; ``TargetInUseError``.
    """
    async with open_fetch_session(config) as records:
        totals = [await records.copy_index.files_total(place) for place in places]
        course = FetchProgress(sum(total.count for total in totals), sum(total.size for total in totals))
        with RestoreTarget(target) as tree:
            work = _Restoring(records, course, tree)
            async with course.shown(on_progress):
                await for_each(_files(records, places), work.restore, at_once=records.at_once)
        return work.report()


async def _files(records: FetchSession, places: Sequence[PathScope]) -> AsyncIterator[RecordedFile]:
    for place in places:
        after = None
        while page := await records.copy_index.files(place, after=after):
            for file in page:
                yield file
            after = page[-1].path


def labels(config: Config) -> dict[str, str]:
    """Return under which name below the target each folder's files go: none for a single one, else its own."""
    folders = [os.fspath(folder.path) for folder in config.folders]
    if len(folders) == 1:
        return {folders[0]: ""}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for folder in folders:
        name = label = os.path.basename(folder) or "root"
        number = 1
        while os.path.normcase(label) in taken:
            number += 1
            label = f"{name}-{number}"
        taken.add(os.path.normcase(label))
        found[folder] = f"{label}/"
    return found


class _Restoring:
    """Restores files one by one, and adds up what became of them."""

    def __init__(self, records: FetchSession, course: FetchProgress, tree: RestoreTarget) -> None:
        self._records = records
        self._course = course
        self._tree = tree
        self._labels = labels(records.config)
        self._restored = self._there = self._not_uploaded = 0
        self._problems: list[Problem] = []

    async def restore(self, file: RecordedFile) -> None:
        """Bring one file back, and take note of what became of it."""
        order = list(self._records.servers)
        copies = sorted(
            (copy for copy in file.copies if copy.remote_id in order), key=lambda c: order.index(c.remote_id)
        )
        if not copies:
            self._not_uploaded += file.present
            return
        before = len(self._problems)
        try:
            spot = await asyncio.to_thread(self._tree.spot, self._labels[file.folder] + file.path)
        except UnsafeNameError as error:
            self._fail(file, str(error))
        except OSError as error:
            self._fail_to_write(file, error)
        else:
            try:
                await self._restore_at(spot, file, copies)
            finally:
                spot.close()
        self._course.count(file.size, good=len(self._problems) == before)

    async def _restore_at(self, spot: TargetFile, file: RecordedFile, copies: Sequence[Copy]) -> None:
        there = await asyncio.to_thread(self._is_there, spot, file, copies[0])
        if there is not None:
            spot.sweep()
            self._there += there
            if not there:
                self._fail(file, ANOTHER)
            return
        try:
            with spot.part() as part:
                if await self._fetched(part, file, copies):
                    await asyncio.to_thread(spot.put, part, file.mtime_ns)
                    self._restored += 1
        except FileExistsError:
            self._fail(file, ANOTHER)
        except OSError as error:
            self._fail_to_write(file, error)

    def _is_there(self, spot: TargetFile, file: RecordedFile, copy: Copy) -> bool | None:
        remote = self._records.servers[copy.remote_id].remote
        try:
            return spot.holds(file.size, remote.hasher_of(copy.key, copy.ref), copy.key, copy.sha256)
        except (Failure, OSError):  # it can't be read, or not be in the form that was sent
            return False

    async def _fetched(self, part: PartialFile, file: RecordedFile, copies: Sequence[Copy]) -> bool:
        """Say whether the part is the file now, from the first server that has it whole."""
        failures: list[Failure] = []
        for copy in copies:
            server = self._records.servers[copy.remote_id]
            flight = Flight(path=file.path, remote=server.name, size=file.size)
            self._course.begin(flight)
            try:
                await self._fetch(part, copy, flight)
            except Failure as failure:
                failures.append(failure)
            else:
                return True
            finally:
                self._course.end(flight)
        passing = all(isinstance(failure, Transient | Unauthorized) for failure in failures)
        told = "; ".join(dict.fromkeys(map(str, failures)))
        self._fail(file, told, state="unreachable" if passing else "failed")
        return False

    async def _fetch(self, part: PartialFile, copy: Copy, flight: Flight) -> None:
        def begin() -> Taker:
            flight.got = 0
            part.restart()
            return take

        def take(data: bytes) -> bool:
            self._course.got(flight, len(data))
            return flight.got <= copy.size and part.write(data)

        same = await self._records.fetch(copy, begin)
        if part.error:
            raise part.error
        hasher = self._records.servers[copy.remote_id].remote.hasher_of(copy.key, copy.ref)
        if not same or not await asyncio.to_thread(part.holds, copy.size, hasher, copy.key, copy.sha256):
            raise Permanent(f"the copy on {flight.remote} is not the file that was uploaded")

    def _fail_to_write(self, file: RecordedFile, error: OSError) -> None:
        if error.errno in _FULL:
            raise OSError(error.errno, error.strerror, self._tree.root)
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            self._fail(file, "what is there in place of its folder is a file or a symbolic link")
        else:
            self._fail(file, f"it can't be written: {error.strerror}")

    def _fail(self, file: RecordedFile, detail: str, *, state: str = "failed") -> None:
        path, folder = printable(file.path), printable(file.folder)
        self._problems.append(Problem(path=path, folder=folder, state=state, detail=detail))

    def report(self) -> Report:
        """Return what was done."""
        states = [problem.state for problem in self._problems]
        return Report(
            restored=self._restored,
            there=self._there,
            failed=states.count("failed"),
            unreachable=states.count("unreachable"),
            not_uploaded=self._not_uploaded,
            problems=sorted(self._problems, key=lambda problem: (problem.folder, problem.path)),
            fetched=self._course.meter.total,
            seconds=time.monotonic() - self._course.started,
        )
