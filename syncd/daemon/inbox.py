"""A file from a page on its way into a watched folder: hidden until it is whole, then under a name that was free.

Its hidden name is one that a watch leaves out. It is locked as long as it is being written, so whoever finds one that
is not locked knows that its writer is dead.
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
    folder: str, name: str, size: int, content: AsyncIterator[bytes], *, takes: Callable[[str], bool], token: bytes
) -> str:
    """Write ``size`` bytes of ``content`` into ``folder`` as ``name``, or with a number if that is taken; return which.

    ``takes`` says whether the watch would take a name, ``token`` are 8 bytes that no other file on its way has. Nothing
    is left behind unless it has its name. ``DiskFullError``; ``NotFoundError`` without a folder; else ``ApiError``.
    """
    upload = PartialUpload(folder, f".syncd-drop-{token.hex()}.part")
    got = 0
    try:
        await asyncio.to_thread(upload.begin, size)
        async for data in content:
            got += len(data)
            await asyncio.to_thread(upload.write, data)
        if got != size:
            raise InvalidRequestError(f"{printable(name)}: {got} of {size} bytes have come")
        return await asyncio.to_thread(upload.finish, name, takes)
    finally:
        await asyncio.to_thread(upload.close)


class PartialUpload:
    """A file in the making. All methods block; :meth:`close` waits for one that a cancelled task has left running."""

    def __init__(self, folder: str, part: str) -> None:
        self._folder = folder
        self._part = part
        self._directory: int | None = None
        self._file: int | None = None
        self._begun = self._closed = False
        self._lock = threading.Lock()

    def begin(self, size: int) -> None:
        """Open the hidden file, if there is room for ``size`` bytes."""
        with self._writing():
            self._directory = openat.open_directory(self._folder)
            space = shutil.disk_usage(to_long_path(self._folder))
            if space.total and size > space.free:  # some file systems do not tell
                free = format_size(space.free)
                raise DiskFullError(f"{printable(self._folder)}: {free} are free, and it takes {format_size(size)}")
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

    def finish(self, name: str, takes: Callable[[str], bool]) -> str:
        """Have it on the disk and under the first name that is free; return that."""
        with self._writing():
            assert self._file is not None
            assert self._directory is not None
            os.fsync(self._file)
            for number in count(1):
                wanted = numbered(name, number)
                if not takes(wanted):
                    raise InvalidRequestError(
                        f"{printable(name)} is there already, and {printable(wanted)} would not be uploaded"
                    )
                with suppress(FileExistsError):
                    openat.rename(self._directory, self._part, wanted)
                    break
            openat.sync(self._directory)
            return wanted

    def close(self) -> None:
        """Remove the hidden file, unless it has its name."""
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
        """Have the file for oneself, and translate what the file system says."""
        with self._lock:
            if self._closed:
                raise ApiError(f"{printable(self._folder)}: the upload was given up")
            try:
                yield
            except OSError as error:
                raise _translated(error, printable(self._folder)) from None


def _translated(error: OSError, folder: str) -> ApiError:
    if error.errno in _FULL:
        return DiskFullError(f"{folder}: the disk is full")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"{folder}: the folder is not there")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ApiError(f"{folder}: no permission to write there: give it to the user that syncd runs as")
    return ApiError(f"{folder}: can't be written: {error.strerror}")


def sweep(folder: str) -> None:
    """Remove what a process that was killed has left in ``folder``, as far as that can be. Blocks."""
    with suppress(OSError):
        left = [name for name in os.listdir(to_long_path(folder)) if _PART.fullmatch(name)]
        directory = openat.open_directory(folder)
        try:
            for name in left:
                with suppress(OSError):
                    _remove_if_dead(directory, name)
        finally:
            os.close(directory)


def _remove_if_dead(directory: int, name: str) -> None:
    file = openat.open_file(directory, name, write=True)
    try:
        lock_file(file)
        openat.remove(directory, name)
    finally:
        os.close(file)
