"""The Windows twin of :mod:`syncd.platform.posix.read_lease`.

The lease is a second descriptor of the file, opened without write sharing.
"""

import ctypes
import errno
import msvcrt
import os
import sys
from ctypes import wintypes

import win32con

from syncd.platform.windows import nt

assert sys.platform == "win32"

_SHARING_ERRORS = (32, 33)
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION."""

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.ReOpenFile.argtypes = (wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD)
_kernel.ReOpenFile.restype = wintypes.HANDLE


def acquire(descriptor: int) -> int:
    """Open an open file again so that no other program can open it for writing.

    Return the new descriptor. Raises BlockingIOError if a program has it open for writing or exclusively, another
    OSError if that is unknown.
    """
    share = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_DELETE
    ctypes.set_last_error(0)  # wine fails without setting an error
    handle = _kernel.ReOpenFile(msvcrt.get_osfhandle(descriptor), win32con.GENERIC_READ, share, 0)
    if handle == ctypes.c_void_p(-1).value:
        code = ctypes.get_last_error()
        if code in _SHARING_ERRORS:
            raise BlockingIOError(errno.EWOULDBLOCK, "another program has it open for writing")
        raise nt.windows_error(code, None)
    return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)


def release(lease: int) -> None:
    """Close the descriptor that :func:`acquire` returned."""
    os.close(lease)


def is_broken(_lease: int) -> bool:
    """Return False: a program that wants to write gets an error."""
    return False
