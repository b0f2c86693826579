"""The Windows twin of :mod:`syncd.platform.posix.openat`.

:mod:`syncd.platform.windows.nt` has the native calls, and the reason for them. Opening a file does not keep other
programs from using it.
"""

import ctypes
import errno
import msvcrt
import os
import sys
from contextlib import ExitStack
from ctypes import wintypes

import pywintypes
import win32con
import win32file

from syncd.core.filenames import possible_on_windows
from syncd.platform.windows import files, nt

assert sys.platform == "win32"

_LISTING = 0x1 | 0x20 | 0x80 | win32con.SYNCHRONIZE
"""FILE_LIST_DIRECTORY, FILE_TRAVERSE and FILE_READ_ATTRIBUTES."""
_READING = win32con.GENERIC_READ | win32con.SYNCHRONIZE
_WRITING = _READING | win32con.GENERIC_WRITE
_REMOVING = win32con.DELETE | win32con.SYNCHRONIZE
_TAG_INFORMATION = 9  # winbase.h
_NAME_SURROGATE = 0x20000000
"""Bit of a reparse tag that marks a link or a junction, in contrast to a file that OneDrive stores elsewhere."""
_EPOCH_TICKS = 116_444_736_000_000_000
"""The year 1970 in ticks of 100 ns since 1601."""
_LOCK_NAME = ".syncd-in-use.part"


def open_inside(folder: str, path: str, *, follow_symlinks: bool) -> int:
    """Open the file ``path``, parts separated by ``/``, below ``folder`` for reading.

    Return its descriptor. Raises OSError: ``ELOOP`` for a link or a junction that must not be followed, or if it is not
    a file; ``EBUSY`` if another program has opened the file exclusively.
    """
    *parents, name = path.split("/")
    if not all(map(possible_on_windows, (*parents, name))):
        raise FileNotFoundError(errno.ENOENT, "no file can have this name", path)
    if follow_symlinks:
        return _open_followed(files.join_path(folder, path))
    with ExitStack() as stack:
        above = open_directory(folder)
        stack.callback(os.close, above)
        for parent in parents:
            above = enter(above, parent)
            stack.callback(os.close, above)
        return open_file(above, name)


def _open_followed(path: str) -> int:
    try:
        handle = win32file.CreateFile(path, win32con.GENERIC_READ, nt.SHARE_ALL, None, win32con.OPEN_EXISTING, 0, None)
    except pywintypes.error as error:
        raise nt.windows_error(error.winerror, path) from None
    try:
        if win32file.GetFileType(int(handle)) != win32file.FILE_TYPE_DISK:
            raise OSError(errno.ELOOP, "not a file", path)
        return msvcrt.open_osfhandle(int(handle.Detach()), os.O_RDONLY | os.O_BINARY)
    finally:
        handle.Close()


def open_directory(path: str) -> int:
    """Open the directory at ``path``, following links; return its descriptor."""
    try:
        flags = win32con.FILE_FLAG_BACKUP_SEMANTICS
        handle = win32file.CreateFile(
            files.to_long_path(path), _LISTING, nt.SHARE_ALL, None, win32con.OPEN_EXISTING, flags, None
        )
    except pywintypes.error as error:
        raise nt.windows_error(error.winerror, path) from None
    descriptor = msvcrt.open_osfhandle(int(handle.Detach()), os.O_RDONLY)
    if not os.fstat(descriptor).st_file_attributes & win32con.FILE_ATTRIBUTE_DIRECTORY:
        os.close(descriptor)
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", path)
    return descriptor


def enter(directory: int, name: str, *, make: bool = False) -> int:
    """Open the directory ``name``, creating it first if ``make``.

    Raises OSError if it is a link or a file.
    """
    try:
        return _open_itself(directory, name, _LISTING, nt.OPEN_IF if make else nt.OPEN, nt.DIRECTORY)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", name) from None


def open_file(directory: int, name: str, *, write: bool = False) -> int:
    """Open the file ``name`` for reading, with ``write`` for writing too.

    Return its descriptor. Raises OSError: ``ELOOP`` for a link or if it is not a file, ``EBUSY`` if another program
    uses it exclusively.
    """
    return _open_itself(directory, name, _WRITING if write else _READING, nt.OPEN, nt.FILE)


def create(directory: int, name: str) -> int:
    """Create and open the file ``name`` for reading and writing.

    Raises FileExistsError if the name is taken.
    """
    return nt.open_at(directory, name, _WRITING, nt.CREATE, nt.FILE | nt.OPEN_REPARSE_POINT)


def remove(directory: int, name: str) -> None:
    """Remove the file or link ``name``."""
    os.close(nt.open_at(directory, name, _REMOVING, nt.OPEN, nt.FILE | nt.OPEN_REPARSE_POINT | nt.DELETE_ON_CLOSE))


def rename(directory: int, name: str, wanted: str, *, into: int | None = None) -> None:
    """Rename a file in its directory or into the directory ``into``.

    Raises FileExistsError if the name is taken.
    """
    nt.check_name(wanted)
    encoded = nt.encoded(wanted)

    class Renaming(ctypes.Structure):
        _fields_ = (
            ("replace", wintypes.BOOLEAN),
            ("directory", wintypes.HANDLE),
            ("size", wintypes.ULONG),
            ("name", ctypes.c_ubyte * len(encoded)),
        )

    taken = (ctypes.c_ubyte * len(encoded)).from_buffer_copy(encoded)
    file = nt.open_at(directory, name, _REMOVING, nt.OPEN, nt.FILE | nt.OPEN_REPARSE_POINT)
    try:
        nt.set_information(
            file,
            nt.RENAME_INFORMATION,
            Renaming(0, msvcrt.get_osfhandle(directory if into is None else into), len(encoded), taken),
            wanted,
        )
    finally:
        os.close(file)


def sync(directory: int) -> None:
    """Do nothing: NTFS journals names, and a directory cannot be flushed."""


def set_times(descriptor: int, ns: int) -> None:
    """Set access and modification time of a file open for writing.

    Raises OverflowError for an impossible time.
    """
    time = ns // 100 + _EPOCH_TICKS
    if not 0 < time < 2**63:
        raise OverflowError
    nt.set_information(descriptor, nt.BASIC_INFORMATION, nt.BasicInformation(0, time, time, 0, 0), None)


def lock_directory(directory: int) -> int:
    """Lock a directory while the returned descriptor is open.

    Raises BlockingIOError if another process has locked it. Windows cannot lock a directory, so it gets a file that is
    removed with its descriptor, even after a crash.
    """
    try:
        return nt.open_at(
            directory, _LOCK_NAME, _WRITING | win32con.DELETE, nt.OPEN_IF, nt.FILE | nt.DELETE_ON_CLOSE, share=0
        )
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process has locked it") from None
        raise


def _open_itself(directory: int, name: str, access: int, disposition: int, options: int) -> int:
    """Open ``name`` without following it if it is a link."""
    found = nt.open_at(directory, name, access, disposition, options | nt.OPEN_REPARSE_POINT)
    tag = _tag(found)
    if tag is None:
        return found
    try:
        if is_link_tag(tag):
            raise OSError(errno.ELOOP, "is a link", name)
        # The content is readable only without that option. While the first handle is open, its file ID is unique.
        again = nt.open_at(directory, name, access, nt.OPEN, options)
        if not os.path.sameopenfile(found, again):
            os.close(again)
            raise OSError(errno.ELOOP, "was replaced by a link", name)
        return again
    finally:
        os.close(found)


def _tag(descriptor: int) -> int | None:
    """Return the reparse tag of an open file; None for a file without one."""
    if not os.fstat(descriptor).st_file_attributes & win32con.FILE_ATTRIBUTE_REPARSE_POINT:
        return None
    found = win32file.GetFileInformationByHandleEx(msvcrt.get_osfhandle(descriptor), _TAG_INFORMATION)
    return int(found["ReparseTag"])


def is_link_tag(tag: int) -> bool:
    """Return whether a reparse tag marks a link or junction; wine's links have no tag (0)."""
    return not tag or bool(tag & _NAME_SURROGATE)


def rename_private(directory: int, name: str, wanted: str) -> None:
    """Rename a file in one step to a random name."""
    rename(directory, name, wanted)
