"""``syncd restore``: downloads uploaded files under their own names and times.

Existing files are never overwritten. :mod:`~syncd.recovery.fetch` downloads the copies,
:mod:`~syncd.recovery.restore_folder` writes the files.
"""

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from syncd.asyncio_tools import for_each
from syncd.config.model import Config
from syncd.core.errors import Failure, Permanent, Transient, Unauthorized
from syncd.core.progress import WorkProgress
from syncd.core.text import printable
from syncd.recovery.fetch import Download, FetchProgress, FetchSession, open_fetch_session
from syncd.recovery.restore_folder import PartialFile, RestoredFile, RestoreFolder, UnsafeNameError
from syncd.remotes.base import WriteCallback
from syncd.store.copies import Copy, PathScope, RecordedFile

OTHER_FILE = "another file is there, and it is left as it is"
_FATAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors that every other file would meet too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A file that was not restored; ``state`` is ``failed`` or ``unreachable``."""

    path: str
    folder: str
    state: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of a restore, in numbers of files; the fields of ``syncd restore --json``."""

    restored: int
    there: int
    """Files that existed in the target with the same content."""
    failed: int
    unreachable: int
    """Files whose servers all failed temporarily or rejected the token."""
    not_uploaded: int
    """Local files whose current version has not been uploaded."""
    problems: list[Problem]
    fetched: int
    """Bytes downloaded."""
    seconds: float


async def restore(
    config: Config,
    scopes: Sequence[PathScope],
    target: str,
    *,
    on_progress: Callable[[WorkProgress], None] | None = None,
) -> Report:
    """Restore the files of ``scopes`` below the folder ``target``.

    StoreError if the store cannot be read; OSError if ``target`` cannot be written;
    :class:`~syncd.recovery.restore_folder.FolderInUseError` if another process restores into it.
    """
    async with open_fetch_session(config) as session:
        totals = [await session.copy_index.files_total(scope) for scope in scopes]
        progress = FetchProgress(sum(total.count for total in totals), sum(total.size for total in totals))
        with RestoreFolder(target) as directory:
            work = _Restore(session, progress, directory)
            async with progress.reporting(on_progress):
                await for_each(_files(session, scopes), work.restore, limit=session.concurrency)
        return work.report()


async def _files(session: FetchSession, scopes: Sequence[PathScope]) -> AsyncIterator[RecordedFile]:
    for scope in scopes:
        after = None
        while page := await session.copy_index.files(scope, after=after):
            for file in page:
                yield file
            after = page[-1].path


def target_prefixes(config: Config) -> dict[str, str]:
    """Return each folder's prefix below the target.

    The prefix is empty for a single folder, else a unique name and ``/``.
    """
    folders = [os.fspath(folder.path) for folder in config.folders]
    if len(folders) == 1:
        return {folders[0]: ""}
    prefixes: dict[str, str] = {}
    taken: set[str] = set()
    for folder in folders:
        name = unique = os.path.basename(folder) or "root"
        number = 1
        while os.path.normcase(unique) in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(os.path.normcase(unique))
        prefixes[folder] = f"{unique}/"
    return prefixes


class _Restore:
    """Restores files one by one, and counts the results."""

    def __init__(self, session: FetchSession, progress: FetchProgress, target: RestoreFolder) -> None:
        self._session = session
        self._progress = progress
        self._target = target
        self._prefixes = target_prefixes(session.config)
        self._restored = self._there = self._not_uploaded = 0
        self._problems: list[Problem] = []

    async def restore(self, file: RecordedFile) -> None:
        """Restore one file from the first server that has an intact copy, and count the result."""
        order = list(self._session.servers)
        copies = sorted(
            (copy for copy in file.copies if copy.remote_id in order), key=lambda c: order.index(c.remote_id)
        )
        if not copies:
            self._not_uploaded += file.present
            return
        problems_before = len(self._problems)
        try:
            target = await asyncio.to_thread(self._target.file, self._prefixes[file.folder] + file.path)
        except UnsafeNameError as error:
            self._fail(file, str(error))
        except OSError as error:
            self._fail_to_write(file, error)
        else:
            try:
                await self._restore_to(target, file, copies)
            finally:
                target.close()
        self._progress.count(file.size, good=len(self._problems) == problems_before)

    async def _restore_to(self, target: RestoredFile, file: RecordedFile, copies: Sequence[Copy]) -> None:
        matches = await asyncio.to_thread(self._matches, target, file, copies[0])
        if matches is not None:
            target.remove_partial()
            self._there += matches
            if not matches:
                self._fail(file, OTHER_FILE)
            return
        try:
            with target.partial_file() as part:
                if await self._download_any(part, file, copies):
                    await asyncio.to_thread(target.finish, part, file.mtime_ns)
                    self._restored += 1
        except FileExistsError:
            self._fail(file, OTHER_FILE)
        except OSError as error:
            self._fail_to_write(file, error)

    def _matches(self, target: RestoredFile, file: RecordedFile, copy: Copy) -> bool | None:
        """Return whether the existing file is the uploaded one; None if the name is free."""
        remote = self._session.servers[copy.remote_id].remote
        try:
            return target.matches(file.size, remote.hasher_of(copy.key, copy.ref), copy.key, copy.sha256)
        except (Failure, OSError):  # unreadable, or not encodable as the uploaded file was
            return False

    async def _download_any(self, part: PartialFile, file: RecordedFile, copies: Sequence[Copy]) -> bool:
        """Download the file from the first server that has an intact copy.

        Return False, after recording the problem, if no server has one.
        """
        failures: list[Failure] = []
        for copy in copies:
            server = self._session.servers[copy.remote_id]
            download = Download(path=file.path, remote=server.name, size=file.size)
            self._progress.begin(download)
            try:
                await self._download(part, copy, download)
            except Failure as failure:
                failures.append(failure)
            else:
                return True
            finally:
                self._progress.end(download)
        temporary = all(isinstance(failure, Transient | Unauthorized) for failure in failures)
        reasons = "; ".join(dict.fromkeys(map(str, failures)))
        self._fail(file, reasons, state="unreachable" if temporary else "failed")
        return False

    async def _download(self, part: PartialFile, copy: Copy, download: Download) -> None:
        def make_sink() -> WriteCallback:
            download.received = 0
            part.restart()
            return sink

        def sink(data: bytes) -> bool:
            self._progress.received(download, len(data))
            return download.received <= copy.size and part.write(data)

        same = await self._session.fetch(copy, make_sink)
        if part.error:
            raise part.error
        hasher = self._session.servers[copy.remote_id].remote.hasher_of(copy.key, copy.ref)
        if not same or not await asyncio.to_thread(part.matches, copy.size, hasher, copy.key, copy.sha256):
            raise Permanent(f"the copy on {download.remote} is not the file that was uploaded")

    def _fail_to_write(self, file: RecordedFile, error: OSError) -> None:
        if error.errno in _FATAL_ERRNOS:
            raise OSError(error.errno, error.strerror, self._target.root)
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            self._fail(file, "a file or a symbolic link is in the place of its folder")
        else:
            self._fail(file, f"cannot write it: {error.strerror}")

    def _fail(self, file: RecordedFile, detail: str, *, state: str = "failed") -> None:
        path, folder = printable(file.path), printable(file.folder)
        self._problems.append(Problem(path=path, folder=folder, state=state, detail=detail))

    def report(self) -> Report:
        """Return the counted results."""
        states = [problem.state for problem in self._problems]
        return Report(
            restored=self._restored,
            there=self._there,
            failed=states.count("failed"),
            unreachable=states.count("unreachable"),
            not_uploaded=self._not_uploaded,
            problems=sorted(self._problems, key=lambda problem: (problem.folder, problem.path)),
            fetched=self._progress.meter.total,
            seconds=time.monotonic() - self._progress.started,
        )
