"""Opens, renames and removes files relative to an open directory, with native calls.

Threat model. The daemon runs as a service account, and other local users can write to the folders that it watches. Such
a user could replace a folder on the path by a junction between a check and the use of the path; the daemon would then
delete, move or overwrite a file elsewhere with its own rights. Win32 calls, which are built on the native ones, take
full paths only and follow junctions. ``NtCreateFile`` takes an open directory and one name, so each step of a path is
opened and checked exactly once. It also accepts paths of any length, and does not treat names such as ``NUL`` as
devices.
"""

import ctypes
import errno
import msvcrt
import os
import sys
from ctypes import wintypes

import win32con

from syncd.core.filenames import possible_on_windows

assert sys.platform == "win32"

SHARE_ALL = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE
"""Other programs may read, write, rename and remove the open file."""

# Dispositions and options of NtCreateFile, and information classes, from winternl.h and ntifs.h.
OPEN, CREATE, OPEN_IF = 1, 2, 3
DIRECTORY, FILE, DELETE_ON_CLOSE, OPEN_REPARSE_POINT = 0x1, 0x40, 0x1000, 0x200000
BASIC_INFORMATION, RENAME_INFORMATION = 4, 10
_SYNCHRONOUS = 0x20
_CASE_INSENSITIVE = 0x40
_STATUS_FILE_IS_A_DIRECTORY = 0xC00000BA
_IN_USE = (32, 33)
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION: another program has opened the file exclusively."""


class _Name(ctypes.Structure):
    _fields_ = (("size", wintypes.USHORT), ("room", wintypes.USHORT), ("text", ctypes.c_void_p))


class _Object(ctypes.Structure):
    _fields_ = (
        ("size", wintypes.ULONG),
        ("directory", wintypes.HANDLE),
        ("name", ctypes.POINTER(_Name)),
        ("attributes", wintypes.ULONG),
        ("security", ctypes.c_void_p),
        ("quality", ctypes.c_void_p),
    )


class _Result(ctypes.Structure):
    _fields_ = (("status", ctypes.c_void_p), ("information", ctypes.c_void_p))


class BasicInformation(ctypes.Structure):
    """The structure FILE_BASIC_INFORMATION.

    Times are in ticks of 100 ns since 1601, where 0 leaves a time unchanged.
    """

    _fields_ = (
        ("created", ctypes.c_int64),
        ("read", ctypes.c_int64),
        ("written", ctypes.c_int64),
        ("changed", ctypes.c_int64),
        ("attributes", wintypes.ULONG),
    )


_nt = ctypes.WinDLL("ntdll")
_nt.NtCreateFile.restype = _nt.NtSetInformationFile.restype = _nt.RtlNtStatusToDosError.restype = wintypes.ULONG


def open_at(directory: int, name: str, access: int, disposition: int, options: int, *, share: int = SHARE_ALL) -> int:
    """Open or create ``name`` in an open directory; return its descriptor.

    See ``NtCreateFile`` for the arguments.
    """
    check_name(name)
    raw = encoded(name)
    text = ctypes.create_string_buffer(raw, len(raw))
    named = _Name(len(raw), len(raw), ctypes.cast(text, ctypes.c_void_p))
    above = msvcrt.get_osfhandle(directory)
    wanted = _Object(ctypes.sizeof(_Object), above, ctypes.pointer(named), _CASE_INSENSITIVE, None, None)
    handle, result = wintypes.HANDLE(), _Result()
    status = _nt.NtCreateFile(
        ctypes.byref(handle),
        wintypes.ULONG(access),
        ctypes.byref(wanted),
        ctypes.byref(result),
        None,
        wintypes.ULONG(win32con.FILE_ATTRIBUTE_NORMAL),
        wintypes.ULONG(share),
        wintypes.ULONG(disposition),
        wintypes.ULONG(options | _SYNCHRONOUS),
        None,
        wintypes.ULONG(0),
    )
    if status == _STATUS_FILE_IS_A_DIRECTORY:
        raise OSError(errno.ELOOP, "is a folder", name)
    _succeed(status, name)
    assert handle.value
    return msvcrt.open_osfhandle(handle.value, os.O_BINARY)


def set_information(descriptor: int, kind: int, value: ctypes.Structure, name: str | None) -> None:
    """Set the information ``kind`` of an open file; ``name`` is for the error."""
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    result = _Result()
    size = wintypes.ULONG(ctypes.sizeof(value))
    _succeed(_nt.NtSetInformationFile(handle, ctypes.byref(result), ctypes.byref(value), size, kind), name)


def _succeed(status: int, name: str | None) -> None:
    if status >= 0x8000_0000:
        raise windows_error(_nt.RtlNtStatusToDosError(wintypes.ULONG(status)), name)


def check_name(name: str) -> None:
    """Raise OSError if no file on Windows can have this name."""
    if not possible_on_windows(name):
        raise OSError(errno.EINVAL, "no file on Windows can have this name", name)


def encoded(name: str) -> bytes:
    """Return a name as UTF-16, with lone surrogates as they are."""
    return name.encode("utf-16-le", "surrogatepass")


def windows_error(code: int, path: str | None) -> OSError:
    """Return a Win32 error code as OSError.

    ``EBUSY`` if another program has opened the file exclusively.
    """
    if code in _IN_USE:
        return OSError(errno.EBUSY, "another program uses it exclusively", path)
    return OSError(None, ctypes.FormatError(code).strip(), path, code)
