"""The Unix twin of :mod:`syncd.platform.windows.terminal`."""

import os
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TextIO

assert sys.platform != "win32"

REDIRECTED_ENCODING: str | None = None
"""Encoding of output that is not a terminal; None for that of the locale."""


def enable_escapes(_stream: TextIO) -> bool:
    """Return True: terminals interpret escape sequences."""
    return True


@contextmanager
def unbuffered_keys() -> Generator[Callable[[], str]]:
    """Yield a function that waits for a key press on standard input and returns the key."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setcbreak(keys)
    try:
        yield lambda: os.read(keys, 64).decode(errors="replace")
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
