"""Reading files on Windows: shared with whoever else works on them, and no link followed on the way there."""

import errno
import msvcrt
import os
import sys

import pywintypes
import win32con
import win32file

from syncd.host.plainly import below, extended

assert sys.platform == "win32"

_SHARED = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE
_IN_USE = (32, 33)
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION: somebody has the file for himself."""
_END = 38
"""ERROR_HANDLE_EOF."""


def open_inside(folder: str, path: str, *, follow_symlinks: bool) -> int:
    """Open the file ``path``, parts separated by ``/``, below ``folder`` for reading; return its descriptor.

    Others may write, rename or remove it meanwhile. OSError: ``ELOOP`` if a link or a junction leads elsewhere, or if
    it is no file; ``EBUSY`` if another program keeps others out.
    """
    wanted = below(folder, path)
    handle = _handle(wanted, win32con.GENERIC_READ, 0)
    try:
        if win32file.GetFileType(int(handle)) != win32file.FILE_TYPE_DISK:
            raise OSError(errno.ELOOP, "not a file", wanted)
        if not follow_symlinks:
            above = _handle(extended(folder), 0, win32con.FILE_FLAG_BACKUP_SEMANTICS)
            expected = os.path.join(_name_of(above), *path.split("/"))
            if _name_of(handle).casefold() != expected.casefold():
                raise OSError(errno.ELOOP, "a link leads elsewhere", wanted)
        return msvcrt.open_osfhandle(int(handle.Detach()), os.O_RDONLY | os.O_BINARY)
    finally:
        handle.Close()


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Return up to ``length`` bytes from ``offset`` on, none at the end; from several threads at once if need be."""
    at = pywintypes.OVERLAPPED()
    at.Offset, at.OffsetHigh = offset & 0xFFFF_FFFF, offset >> 32
    try:
        _, data = win32file.ReadFile(msvcrt.get_osfhandle(descriptor), length, at)
    except pywintypes.error as error:
        if error.winerror == _END:
            return b""
        raise _translated(error, None) from None
    return bytes(data)


def _handle(path: str, access: int, flags: int) -> "pywintypes.HANDLEType":
    try:
        return win32file.CreateFile(path, access, _SHARED, None, win32con.OPEN_EXISTING, flags, None)
    except pywintypes.error as error:
        raise _translated(error, path) from None


def _name_of(handle: "pywintypes.HANDLEType") -> str:
    try:
        return str(win32file.GetFinalPathNameByHandle(int(handle), 0))
    except pywintypes.error as error:
        raise _translated(error, None) from None


def _translated(error: "pywintypes.error", path: str | None) -> OSError:
    if error.winerror in _IN_USE:
        return OSError(errno.EBUSY, "another program has it for itself", path)
    return OSError(None, error.strerror, path, error.winerror)
