"""Prepares standard output and standard error for any file name and for colours."""

import io
import os
import sys
from typing import TYPE_CHECKING

from syncd.platform.terminal import REDIRECTED_ENCODING, enable_escapes

if TYPE_CHECKING:  # slow to import
    from rich.console import Console


def prepare() -> None:
    """Make standard output and standard error accept every text.

    Characters that a terminal cannot show are escaped. Redirected output is UTF-8 on Windows.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else REDIRECTED_ENCODING
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
            if stream.isatty() and not enable_escapes(stream):
                os.environ["NO_COLOR"] = "1"


def console(*, stderr: bool = False) -> "Console":
    """Return a Rich console for standard output or standard error."""
    from rich.console import Console  # noqa: PLC0415 - see above

    stream = sys.stderr if stderr else sys.stdout
    # By default, Rich tests standard output for legacy_windows, even for standard error.
    return Console(stderr=stderr, legacy_windows=not enable_escapes(stream) if stream.isatty() else None)
