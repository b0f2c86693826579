"""The streams of a command: fit for every name and, where a person looks at them, for colours on Windows too."""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # it takes a while to load
    from rich.console import Console


def prepare() -> None:
    """Have standard output and error take every text, in UTF-8 where no person reads it.

    A name that a terminal can't show is escaped. What is redirected on Windows would be in a code page that lacks most.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = "utf-8" if sys.platform == "win32" and not stream.isatty() else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
            if stream.isatty() and not _takes_escapes(stream):
                os.environ["NO_COLOR"] = "1"


def console(*, stderr: bool = False) -> "Console":
    """Return what draws on one of the two streams."""
    from rich.console import Console  # noqa: PLC0415 - as above

    stream = sys.stderr if stderr else sys.stdout
    # Left to itself it goes by standard output alone.
    return Console(stderr=stderr, legacy_windows=not _takes_escapes(stream) if stream.isatty() else None)


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _ESCAPES = 0x0004
    """ENABLE_VIRTUAL_TERMINAL_PROCESSING."""

    def _takes_escapes(stream: TextIO) -> bool:
        """Have a console understand escape sequences, if it can: from Windows 10 on."""
        kernel, handle, mode = ctypes.windll.kernel32, wintypes.HANDLE(), wintypes.DWORD()
        handle.value = msvcrt.get_osfhandle(stream.fileno())
        return bool(
            kernel.GetConsoleMode(handle, ctypes.byref(mode)) and kernel.SetConsoleMode(handle, mode.value | _ESCAPES)
        )

else:

    def _takes_escapes(_stream: TextIO) -> bool:
        return True
