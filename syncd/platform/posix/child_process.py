"""The Unix twin of :mod:`syncd.platform.windows.child_process`."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from typing import Any

assert sys.platform != "win32"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


# preexec_fn is safe here: no thread runs yet, and the function makes one system call.
DETACHED: dict[str, Any] = {"start_new_session": True, "preexec_fn": _end_with_parent}
"""Arguments of ``Popen`` for a child that ends with its parent and does not receive its Ctrl-C."""
SEPARATE: dict[str, Any] = {"start_new_session": True}
"""Arguments for a child that :func:`kill_tree` can kill together with its own children."""
COPY_PICTURES_COMMAND = "cp ~/Pictures/*.jpg"
"""Shell command that copies the user's pictures to the folder named after it."""


def ended_with_parent(_process: "subprocess.Popen[Any]") -> nullcontext[None]:
    """Do nothing: :data:`DETACHED` already ends the child with its parent."""
    return nullcontext()


def kill_tree(pid: int) -> None:
    """Kill a child that was started with :data:`SEPARATE`, and its own children."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def quote_argument(text: str) -> str:
    """Return a text as one argument of a shell command."""
    return shlex.quote(text)
