"""Saves a file that is uploaded through the dashboard into a watched folder.

The file has a hidden name, which watches ignore, until it is complete; then it gets the first free name. It is locked
while it is written, so an unlocked hidden file is a leftover of a process that was killed.

If the disk of the folder is full, the upload ends with :class:`DiskFullError`. Other full disks:
:mod:`syncd.store.database` for the job store, and :mod:`syncd.receiver.storage_limits` for the uploads of a receiver.
"""

import asyncio
import errno
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from itertools import count

from syncd.config.units import format_size
from syncd.control.service import ApiError, DiskFullError, InvalidRequestError, NotFoundError
from syncd.core.filenames import numbered
from syncd.core.text import printable
from syncd.platform import openat
from syncd.platform.files import lock_file, to_long_path

_PART = re.compile(r"\.syncd-drop-[0-9a-f]{16}\.part")
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


async def save_upload(
    folder: str,
    name: str,
    size: int,
    content: AsyncIterator[bytes],
    *,
    is_selected: Callable[[str], bool],
    token: bytes,
) -> str:
    """Write ``content`` into ``folder`` under the first free variant of ``name``; return it.

    A variant has a number appended. ``is_selected`` returns whether the watch selects a name; ``token`` is 8 bytes that
    are unique among concurrent uploads. Raises :class:`DiskFullError` if the disk is full, :class:`NotFoundError` if
    the folder does not exist, and another :class:`ApiError` otherwise; an error leaves no file behind.
    """
    upload = PartialUpload(folder, f".syncd-drop-{token.hex()}.part")
    got = 0
    try:
        await asyncio.to_thread(upload.begin, size)
        async for data in content:
            got += len(data)
            await asyncio.to_thread(upload.write, data)
        if got != size:
            raise InvalidRequestError(f"{printable(name)}: {got} of {size} bytes arrived")
        return await asyncio.to_thread(upload.finish, name, is_selected)
    finally:
        await asyncio.to_thread(upload.close)


class PartialUpload:
    """A file that is being written.

    All methods block; :meth:`close` waits for a call that is still running in another thread.
    """

    def __init__(self, folder: str, part: str) -> None:
        self._folder = folder
        self._part = part
        self._directory: int | None = None
        self._file: int | None = None
        self._begun = self._closed = False
        self._lock = threading.Lock()

    def begin(self, size: int) -> None:
        """Create the hidden file, if the disk has room for ``size`` bytes."""
        with self._writing():
            self._directory = openat.open_directory(self._folder)
            space = shutil.disk_usage(to_long_path(self._folder))
            if space.total and size > space.free:  # some file systems report 0
                free = format_size(space.free)
                raise DiskFullError(f"{printable(self._folder)}: {free} free, {format_size(size)} needed")
            self._file = openat.create(self._directory, self._part)
            self._begun = True
            lock_file(self._file)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        with self._writing():
            rest = memoryview(data)
            assert self._file is not None
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def finish(self, name: str, is_selected: Callable[[str], bool]) -> str:
        """Flush the file to disk, rename it to the first free name, and return that name."""
        with self._writing():
            assert self._file is not None
            assert self._directory is not None
            os.fsync(self._file)
            for number in count(1):
                wanted = numbered(name, number)
                if not is_selected(wanted):
                    raise InvalidRequestError(
                        f"{printable(name)} exists already, and the folder's patterns exclude {printable(wanted)}"
                    )
                with suppress(FileExistsError):
                    openat.rename(self._directory, self._part, wanted)
                    break
            openat.sync(self._directory)
            return wanted

    def close(self) -> None:
        """Remove the hidden file, unless :meth:`finish` has renamed it."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                os.close(self._file)
                self._file = None
            if self._directory is not None:
                if self._begun:
                    with suppress(FileNotFoundError):
                        openat.remove(self._directory, self._part)
                os.close(self._directory)

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Lock the file against other threads, and translate OSErrors to API errors."""
        with self._lock:
            if self._closed:
                raise ApiError(f"{printable(self._folder)}: the upload was cancelled")
            try:
                yield
            except OSError as error:
                raise _translated(error, printable(self._folder)) from None


def _translated(error: OSError, folder: str) -> ApiError:
    if error.errno in _FULL:
        return DiskFullError(f"{folder}: the disk is full")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"{folder}: the folder does not exist")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ApiError(f"{folder}: permission denied; allow the user of syncd to write there")
    return ApiError(f"{folder}: cannot be written: {error.strerror}")


def remove_leftovers(folder: str) -> None:
    """Remove hidden files of killed processes from ``folder``; ignores OSErrors. Blocks."""
    with suppress(OSError):
        leftovers = [name for name in os.listdir(to_long_path(folder)) if _PART.fullmatch(name)]
        directory = openat.open_directory(folder)
        try:
            for name in leftovers:
                with suppress(OSError):
                    _remove_if_unlocked(directory, name)
        finally:
            os.close(directory)


def _remove_if_unlocked(directory: int, name: str) -> None:
    file = openat.open_file(directory, name, write=True)
    try:
        lock_file(file)
        openat.remove(directory, name)
    finally:
        os.close(file)
