"""The Windows twin of :mod:`syncd.platform.posix.file_info`.

Windows finds files by names in any case, and FAT has no stable file IDs.
"""

import msvcrt
import os
import stat
import sys

import pywintypes
import win32api
import win32con
import win32file

from syncd.core.filenames import possible_on_windows
from syncd.platform.windows import files, nt, openat

assert sys.platform == "win32"

_ERROR_HANDLE_EOF = 38


def birth_ns(file: str | int, *, follow_symlinks: bool = False) -> int | None:
    """Return the creation time of a path or an open file in nanoseconds.

    None if it is unknown.
    """
    try:
        found = os.stat(file) if isinstance(file, int) else os.stat(file, follow_symlinks=follow_symlinks)
    except OSError:
        return None
    return found.st_ctime_ns  # on Windows, this is the creation time


def file_system_id(path: str, directory: int | None = None) -> int:  # noqa: ARG001 - twin
    """Return a number that identifies the file system at ``path``."""
    return os.stat(path).st_dev


def remote_file_system(path: str) -> str | None:
    """Return the type of the remote file system at ``path``; None if it is local or unknown."""
    drive, _ = os.path.splitdrive(os.path.realpath(files.from_long_path(path)))
    is_remote = win32file.GetDriveType(drive + os.sep) == win32con.DRIVE_REMOTE
    return "a network share" if is_remote else None


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Return up to ``length`` bytes at ``offset``, none at the end of the file. Thread-safe."""
    at = pywintypes.OVERLAPPED()
    at.Offset, at.OffsetHigh = offset & 0xFFFF_FFFF, offset >> 32
    try:
        _, data = win32file.ReadFile(msvcrt.get_osfhandle(descriptor), length, at)
    except pywintypes.error as error:
        if error.winerror == _ERROR_HANDLE_EOF:
            return b""
        raise nt.windows_error(error.winerror, None) from None
    return bytes(data)


def is_link(entry: "os.DirEntry[str]") -> bool:
    """Return whether a directory entry is a symbolic link or a junction."""
    found = entry.stat(follow_symlinks=False)
    return bool(found.st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT) and openat.is_link_tag(
        found.st_reparse_tag
    )


def on_disk_case(folder: str, path: str, known: dict[str, str | None] | None = None) -> str | None:
    """Return ``path``, relative to ``folder``, in the case of the disk.

    None if nothing is there. Blocks. ``known`` caches the results of a batch. Raises OSError if the disk cannot be
    asked.
    """
    known = {} if known is None else known
    at = ""
    for part in path.split("/"):
        wanted = f"{at}/{part}" if at else part
        if wanted not in known:
            name = name_on_disk(files.join_path(folder, wanted))
            known[wanted] = name and (f"{at}/{name}" if at else name)
        if (found := known[wanted]) is None:
            return None
        at = found
    return at


def name_on_disk(full: str) -> str | None:
    """Return the last part of a path in the case of the disk; None if nothing is there."""
    name = os.path.basename(full)
    if not possible_on_windows(name):
        return None
    try:
        found = [entry[8] for entry in win32file.FindFilesW(full)]
    except pywintypes.error as error:
        fault = nt.windows_error(error.winerror, full)
        if isinstance(fault, FileNotFoundError | NotADirectoryError):
            return None
        raise fault from None
    return name if name in found else next(iter(found), None)


def has_stable_file_ids(path: str) -> bool:
    """Return whether the file system at ``path`` has stable file IDs.

    FAT gives the ID of a file to its successor.
    """
    try:
        volume = win32file.GetVolumePathName(path)
        return win32api.GetVolumeInformation(volume)[4] in ("NTFS", "ReFS")
    except pywintypes.error:
        return False
