"""The Windows twin of :mod:`syncd.platform.posix.terminal`."""

import ctypes
import msvcrt
import sys
from collections.abc import Callable
from contextlib import nullcontext
from ctypes import wintypes
from typing import TextIO

assert sys.platform == "win32"

REDIRECTED_ENCODING: str | None = "utf-8"
"""Encoding of output that is not a console: the default code page lacks most characters."""

_ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004


def enable_escapes(stream: TextIO) -> bool:
    """Make a console interpret escape sequences; return whether it can, as from Windows 10 on."""
    kernel, handle, mode = ctypes.windll.kernel32, wintypes.HANDLE(), wintypes.DWORD()
    handle.value = msvcrt.get_osfhandle(stream.fileno())
    return bool(
        kernel.GetConsoleMode(handle, ctypes.byref(mode))
        and kernel.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)
    )


def unbuffered_keys() -> nullcontext[Callable[[], str]]:
    """Yield a function that waits for a key press on the console and returns the key."""
    return nullcontext(msvcrt.getwch)
