"""The Windows twin of :mod:`syncd.platform.posix.child_process`."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from syncd.platform.windows import job_object

assert sys.platform == "win32"

DETACHED: dict[str, Any] = {"creationflags": subprocess.CREATE_NO_WINDOW}
"""Arguments of ``Popen`` for a child that does not receive its parent's Ctrl-C."""
SEPARATE: dict[str, Any] = DETACHED
"""Arguments for a child that :func:`kill_tree` can kill."""
COPY_PICTURES_COMMAND = r"copy %USERPROFILE%\Pictures\*.jpg"
"""Shell command that copies the user's pictures to the folder named after it."""


@contextmanager
def ended_with_parent(process: "subprocess.Popen[Any]") -> Generator[None]:
    """End the process with the context, or with this process if that is killed."""
    job = job_object.JobObject()
    try:
        job.add(process)
        yield
    finally:
        job.close()


def kill_tree(pid: int) -> None:
    """Kill a child; the context :func:`ended_with_parent` kills its own children."""
    with suppress(OSError):  # it has ended
        os.kill(pid, signal.SIGTERM)  # TerminateProcess


def quote_argument(text: str) -> str:
    """Return a text as one argument of a shell command."""
    return subprocess.list2cmdline([text])
