"""What becomes of a local file after every remote has confirmed it: ``after_upload: keep | delete | {move: DIR}``.

Driven by the store alone: it asks which files are wholly uploaded, so a crash between the confirmation and the deed
is made up for at the next start. Nothing is touched whose stamp is not the one that was uploaded.
"""

import asyncio
import errno
import os
import shutil
import stat
import sys
import time
from contextlib import suppress

import structlog

from syncd.config.model import AfterUpload, Folder
from syncd.core.errors import FileChanged
from syncd.core.model import Stamp
from syncd.core.names import displayed
from syncd.core.states import State
from syncd.daemon.rooms import Rooms
from syncd.engine.source import stamp_of
from syncd.host import openat
from syncd.host.plainly import PLAINLY, below
from syncd.store.jobs import Change

log = structlog.get_logger()

BATCH = 200
COPY_SIZE = 1024 * 1024
GATHER = 0.5
"""Seconds between two sweeps at least, for several files to gather."""
SHARE = 10
"""So many times as long as a sweep took is the pause after it."""
AGAIN = 60.0
"""Seconds after which files that could not be moved or deleted are tried again."""


class Aftermath:
    """Deletes or moves what was uploaded, in the folders that ask for it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._wake = asyncio.Event()
        self._kept: dict[tuple[str, str], float] = {}  # what could not be put away, and when that is tried again
        rooms.store.on_change.append(self._noticed)

    def _noticed(self, change: Change) -> None:
        if change.after is State.DONE:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            started = time.monotonic()
            await self.sweep()
            # There is no hurry: a sweep that looks through many files must not follow on the last one's heels.
            await asyncio.sleep(max(GATHER, SHARE * (time.monotonic() - started)))
            try:
                async with asyncio.timeout(AGAIN):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def sweep(self) -> None:
        """Do all that can be done now."""
        self._kept = {file: again for file, again in self._kept.items() if again > time.monotonic()}
        for folder in list(self._rooms.folders.settings.values()):
            if folder.after_upload.action != "keep":
                await self._sweep_folder(folder)

    async def _sweep_folder(self, folder: Folder) -> None:
        after = None
        if not self._rooms.remote_ids.keys() >= set(folder.remotes):
            return  # in the middle of a reload
        ids = self._rooms.ids_of(folder.remotes)
        while files := await self._rooms.store.uploaded(folder.path, ids, after=after, limit=BATCH):
            gone = []
            for path, stamp in files:
                if (folder.path, path) not in self._kept and await self._done_with(folder, path, stamp):
                    gone.append(path)
            await self._rooms.store.gone(folder.path, gone)
            after = files[-1][0]

    async def _done_with(self, folder: Folder, path: str, stamp: Stamp) -> bool:
        """Say whether the file is gone; one that can't be, as another program has it open, is tried again later."""
        try:
            return await asyncio.to_thread(_put_away, folder.path, path, stamp, folder.after_upload)
        except OSError as error:
            self._kept[folder.path, path] = time.monotonic() + AGAIN
            log.warning("file.kept", path=displayed(path), folder=displayed(folder.path), reason=error.strerror)
            return False


def _put_away(folder: str, path: str, stamp: Stamp, what: AfterUpload) -> bool:
    """Delete or move one file; False where it was left, as it is not the one that was uploaded. OSError."""
    full = below(folder, path)
    try:
        if stamp_of(os.lstat(full)) != stamp:
            return False
        if what.action == "delete":
            _check_removable(full)
            os.unlink(full)
        else:
            _move(full, below(str(what.directory), path), stamp)
    except FileNotFoundError:
        return not os.path.lexists(full)
    except FileChanged:
        return False
    log.info(
        "file.deleted" if what.action == "delete" else "file.moved", path=displayed(path), folder=displayed(folder)
    )
    return True


def _move(source: str, wanted: str, stamp: Stamp) -> None:
    """Move a file to ``wanted`` or, where that name is taken, to a numbered one; never over another file."""
    os.makedirs(os.path.dirname(wanted), exist_ok=True)
    stem, suffix = os.path.splitext(wanted)
    number = 0
    while True:
        target = f"{stem}-{number}{suffix}" if number else wanted
        try:
            _move_exclusively(source, target, stamp)
        except FileExistsError:
            number += 1
        else:
            return


def _move_exclusively(source: str, target: str, stamp: Stamp) -> None:
    """Move a file, to another file system too; FileExistsError if there is another ``target``."""
    try:
        if sys.platform == "win32":
            os.rename(source, target)  # which takes no name from another there
            return
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if stamp_of(os.lstat(target)) != stamp:  # else a crash came between the link and the unlink
            raise
    except OSError as error:  # another file system, or one without hard links
        if sys.platform == "win32" and error.errno != errno.EXDEV:
            raise  # somebody has it open: it can't go, so there must be no copy
        _check_removable(source)
        _copy_exclusively(source, target, stamp)
        try:
            os.unlink(source)
        except FileNotFoundError:
            return
        except OSError:
            os.unlink(target)  # else each try would leave another copy
            raise
        return
    os.unlink(source)


def _check_removable(path: str) -> None:
    """PermissionError for a file that is marked read-only on Windows, where that keeps it from being removed."""
    if sys.platform == "win32" and os.lstat(path).st_file_attributes & stat.FILE_ATTRIBUTE_READONLY:
        raise PermissionError(errno.EACCES, "it is marked read-only: take the mark off", path)


def _copy_exclusively(source: str, target: str, stamp: Stamp) -> None:
    """Copy a file, which has its name only when it is whole; ``FileChanged`` if it is not the one of ``stamp`` then."""
    above, name = os.path.split(target)
    part = f".syncd-{stamp.inode:x}.part"
    directory = openat.open_directory(above)
    try:
        with suppress(FileNotFoundError):
            openat.remove(directory, part)  # what a crash has left
        with (
            open(source, "rb", opener=_open_plainly) as reader,
            open(openat.create(directory, part), "wb") as writer,
        ):
            shutil.copyfileobj(reader, writer, COPY_SIZE)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(source, os.path.join(above, part))
        if stamp_of(os.lstat(source)) != stamp:
            raise FileChanged("the file changed while it was being moved")
        openat.rename(directory, part, name)
    finally:
        with suppress(FileNotFoundError):
            openat.remove(directory, part)
        os.close(directory)


def _open_plainly(path: str, flags: int) -> int:
    """Open without following a link or waiting for a FIFO's writer, whatever has taken the file's place."""
    return os.open(path, flags | PLAINLY)
