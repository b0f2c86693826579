"""Files on Windows, by their names in an open directory, as ``openat`` and its like have them on Unix.

Win32 knows paths alone. The system calls below it take an open directory and the name of something in it, so it matters
neither how long the path is nor what becomes of the folders above, and no name is that of a device. Whoever else works
on a file is not kept from it.
"""

import ctypes
import errno
import msvcrt
import os
import sys
from contextlib import ExitStack
from ctypes import wintypes

import pywintypes
import win32api
import win32con
import win32file

from syncd.core.filenames import possible_on_windows
from syncd.platform.open_flags import join_path, to_long_path

assert sys.platform == "win32"

_SHARED = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE
"""Others may do what they like with a file that is open."""
_LISTING = 0x1 | 0x20 | 0x80 | win32con.SYNCHRONIZE
"""To list it, to go through it, and to ask what it is."""
_READING = win32con.GENERIC_READ | win32con.SYNCHRONIZE
_WRITING = _READING | win32con.GENERIC_WRITE
_REMOVING = win32con.DELETE | win32con.SYNCHRONIZE

# As winternl.h and ntifs.h have them.
_OPEN, _CREATE, _OPEN_IF = 1, 2, 3
_DIRECTORY, _SYNCHRONOUS, _FILE, _DELETE_ON_CLOSE, _LINK_ITSELF = 0x1, 0x20, 0x40, 0x1000, 0x200000
_CASE_INSENSITIVE = 0x40
_BASIC_INFORMATION, _RENAME_INFORMATION = 4, 10
_IS_A_DIRECTORY = 0xC00000BA
_TAG_INFORMATION = 9  # winbase.h

_SURROGATE = 0x20000000
"""The bit of a reparse tag that says: a link or a junction, and not a file that OneDrive or another keeps its way."""
_IN_USE = (32, 33)
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION: somebody has the file for himself."""
_EPOCH = 116_444_736_000_000_000
"""The year 1970 as the system counts: in 100 ns since 1601."""
_LOCK = ".syncd-in-use.part"
_END = 38
"""ERROR_HANDLE_EOF."""


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


class _Basic(ctypes.Structure):
    _fields_ = (
        ("created", ctypes.c_int64),
        ("read", ctypes.c_int64),
        ("written", ctypes.c_int64),
        ("changed", ctypes.c_int64),
        ("attributes", wintypes.ULONG),
    )


_nt = ctypes.WinDLL("ntdll")
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.ReOpenFile.argtypes = (wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD)
_kernel.ReOpenFile.restype = wintypes.HANDLE
_nt.NtCreateFile.restype = _nt.NtSetInformationFile.restype = _nt.RtlNtStatusToDosError.restype = wintypes.ULONG


def open_inside(folder: str, path: str, *, follow_symlinks: bool) -> int:
    """Open the file ``path``, parts separated by ``/``, below ``folder`` for reading; return its descriptor.

    Others may write, rename or remove it meanwhile. OSError: ``ELOOP`` if there is a link or a junction on the way
    that is not to be followed, or if it is no file; ``EBUSY`` if another program keeps others out.
    """
    *parents, name = path.split("/")
    if not all(map(possible_on_windows, (*parents, name))):
        raise FileNotFoundError(errno.ENOENT, "no file can have this name", path)
    if follow_symlinks:
        return _open_followed(join_path(folder, path))
    with ExitStack() as stack:
        above = open_directory(folder)
        stack.callback(os.close, above)
        for parent in parents:
            above = enter(above, parent)
            stack.callback(os.close, above)
        return open_file(above, name)


def _open_followed(full: str) -> int:
    try:
        handle = win32file.CreateFile(full, win32con.GENERIC_READ, _SHARED, None, win32con.OPEN_EXISTING, 0, None)
    except pywintypes.error as error:
        raise _fault(error.winerror, full) from None
    try:
        if win32file.GetFileType(int(handle)) != win32file.FILE_TYPE_DISK:
            raise OSError(errno.ELOOP, "not a file", full)
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
        raise _fault(error.winerror, None) from None
    return bytes(data)


def is_link(tag: int) -> bool:
    """Say whether what has this reparse tag leads elsewhere; so does what has none to tell, as wine's links."""
    return not tag or bool(tag & _SURROGATE)


def name_on_disk(full: str) -> str | None:
    """Return how the disk spells the last part of a path; None if nothing is there."""
    name = os.path.basename(full)
    if not possible_on_windows(name):
        return None
    try:
        found = [entry[8] for entry in win32file.FindFilesW(full)]
    except pywintypes.error as error:
        fault = _fault(error.winerror, full)
        if isinstance(fault, FileNotFoundError | NotADirectoryError):
            return None
        raise fault from None
    return name if name in found else next(iter(found), None)


def has_stable_file_ids(path: str) -> bool:
    """Say whether files keep their numbers where ``path`` is: on FAT the next one in a file's place gets its number."""
    try:
        volume = win32file.GetVolumePathName(path)
        return win32api.GetVolumeInformation(volume)[4] in ("NTFS", "ReFS")
    except pywintypes.error:
        return False


def open_directory(path: str) -> int:
    """Open the directory at ``path``, wherever links lead to; return its descriptor."""
    try:
        flags = win32con.FILE_FLAG_BACKUP_SEMANTICS
        handle = win32file.CreateFile(to_long_path(path), _LISTING, _SHARED, None, win32con.OPEN_EXISTING, flags, None)
    except pywintypes.error as error:
        raise _fault(error.winerror, path) from None
    descriptor = msvcrt.open_osfhandle(int(handle.Detach()), os.O_RDONLY)
    if not os.fstat(descriptor).st_file_attributes & win32con.FILE_ATTRIBUTE_DIRECTORY:
        os.close(descriptor)
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", path)
    return descriptor


def enter(directory: int, name: str, *, make: bool = False) -> int:
    """Open the directory ``name``, made if it is missing and that is asked for; OSError if it is a link or a file."""
    try:
        return _open_itself(directory, name, _LISTING, _OPEN_IF if make else _OPEN, _DIRECTORY)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", name) from None


def open_file(directory: int, name: str, *, write: bool = False) -> int:
    """Open the file ``name`` for reading, maybe for writing too; return its descriptor.

    OSError: ``ELOOP`` if it is a link or no file, ``EBUSY`` if another program keeps others out.
    """
    return _open_itself(directory, name, _WRITING if write else _READING, _OPEN, _FILE)


def create(directory: int, name: str) -> int:
    """Make the file ``name``, open for reading and writing; FileExistsError if the name is taken."""
    return _open(directory, name, _WRITING, _CREATE, _FILE | _LINK_ITSELF)


def remove(directory: int, name: str) -> None:
    """Remove the file or the link to one that has the name."""
    os.close(_open(directory, name, _REMOVING, _OPEN, _FILE | _LINK_ITSELF | _DELETE_ON_CLOSE))


def rename(directory: int, name: str, wanted: str, *, into: int | None = None) -> None:
    """Give a file another name in its directory, or in the directory ``into``; FileExistsError if that is taken."""
    _check(wanted)
    encoded = _encoded(wanted)

    class Renaming(ctypes.Structure):
        _fields_ = (
            ("replace", wintypes.BOOLEAN),
            ("directory", wintypes.HANDLE),
            ("size", wintypes.ULONG),
            ("name", ctypes.c_ubyte * len(encoded)),
        )

    taken = (ctypes.c_ubyte * len(encoded)).from_buffer_copy(encoded)
    file = _open(directory, name, _REMOVING, _OPEN, _FILE | _LINK_ITSELF)
    try:
        _set(
            file,
            _RENAME_INFORMATION,
            Renaming(0, msvcrt.get_osfhandle(directory if into is None else into), len(encoded), taken),
            wanted,
        )
    finally:
        os.close(file)


def sync(directory: int) -> None:
    """Do nothing: the file system's own journal has the names, and a directory can't be flushed."""


def set_times(descriptor: int, ns: int) -> None:
    """Have a file, open for writing, last used and changed then; OverflowError for a time that it can't have."""
    time = ns // 100 + _EPOCH
    if not 0 < time < 2**63:
        raise OverflowError
    _set(descriptor, _BASIC_INFORMATION, _Basic(0, time, time, 0, 0), None)


def lock_directory(directory: int) -> int:
    """Have a directory for oneself as long as the descriptor that is returned is open; BlockingIOError if another has.

    A directory can't be locked there, so it gets a file that goes with its descriptor, however the process ends.
    """
    try:
        return _open(directory, _LOCK, _WRITING | win32con.DELETE, _OPEN_IF, _FILE | _DELETE_ON_CLOSE, share=0)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process has it") from None
        raise


def open_without_write_sharing(descriptor: int) -> int:
    """Open a file that is open for reading again, so that nobody can open it for writing; return the new descriptor.

    ``BlockingIOError`` if somebody has it open for writing, or for himself; OSError if it can't be told.
    """
    share = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_DELETE
    ctypes.set_last_error(0)  # wine's has failed before it says why
    handle = _kernel.ReOpenFile(msvcrt.get_osfhandle(descriptor), win32con.GENERIC_READ, share, 0)
    if handle == ctypes.c_void_p(-1).value:
        code = ctypes.get_last_error()
        if code in _IN_USE:
            raise BlockingIOError(errno.EWOULDBLOCK, "another program has it open for writing")
        raise _fault(code, None)
    return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)


def _fault(code: int, path: str | None) -> OSError:
    """Return what an error of Win32 is in Python; ``EBUSY`` if somebody has the file for himself."""
    if code in _IN_USE:
        return OSError(errno.EBUSY, "another program has it for itself", path)
    return OSError(None, ctypes.FormatError(code).strip(), path, code)


def _open_itself(directory: int, name: str, access: int, disposition: int, options: int) -> int:
    """Open what has the name, and not what a link of that name leads to."""
    found = _open(directory, name, access, disposition, options | _LINK_ITSELF)
    tag = _tag(found)
    if tag is None:
        return found
    try:
        if is_link(tag):
            raise OSError(errno.ELOOP, "it is a link", name)
        # Only without that option its content is to be had. As long as the first is open, no other has its number.
        again = _open(directory, name, access, _OPEN, options)
        if not os.path.sameopenfile(found, again):
            os.close(again)
            raise OSError(errno.ELOOP, "a link has taken its place", name)
        return again
    finally:
        os.close(found)


def _tag(descriptor: int) -> int | None:
    """Return the reparse tag of what is open; None if it has none, as most."""
    if not os.fstat(descriptor).st_file_attributes & win32con.FILE_ATTRIBUTE_REPARSE_POINT:
        return None
    found = win32file.GetFileInformationByHandleEx(msvcrt.get_osfhandle(descriptor), _TAG_INFORMATION)
    return int(found["ReparseTag"])


def _open(directory: int, name: str, access: int, disposition: int, options: int, *, share: int = _SHARED) -> int:
    _check(name)
    encoded = _encoded(name)
    text = ctypes.create_string_buffer(encoded, len(encoded))
    named = _Name(len(encoded), len(encoded), ctypes.cast(text, ctypes.c_void_p))
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
    if status == _IS_A_DIRECTORY:
        raise OSError(errno.ELOOP, "it is a folder", name)
    _succeed(status, name)
    assert handle.value
    return msvcrt.open_osfhandle(handle.value, os.O_BINARY)


def _set(descriptor: int, kind: int, value: ctypes.Structure, name: str | None) -> None:
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    result = _Result()
    size = wintypes.ULONG(ctypes.sizeof(value))
    _succeed(_nt.NtSetInformationFile(handle, ctypes.byref(result), ctypes.byref(value), size, kind), name)


def _succeed(status: int, name: str | None) -> None:
    if status >= 0x8000_0000:
        raise _fault(_nt.RtlNtStatusToDosError(wintypes.ULONG(status)), name)


def _check(name: str) -> None:
    if not possible_on_windows(name):
        raise OSError(errno.EINVAL, "Windows can't have a file of this name", name)


def _encoded(name: str) -> bytes:
    return name.encode("utf-16-le", "surrogatepass")
