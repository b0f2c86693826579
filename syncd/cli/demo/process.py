"""Runs syncd as a child process that always ends with its parent, and does not receive the parent's Ctrl-C."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from syncd.cli.serve import TOKEN

if sys.platform == "win32":
    from syncd.platform.windows.job_object import JobObject

    _APART: dict[str, Any] = {"creationflags": subprocess.CREATE_NO_WINDOW}

    @contextmanager
    def _tied(process: "subprocess.Popen[str]") -> Generator[None]:
        """Have the child end with this process, if that is killed."""
        job = JobObject()
        try:
            job.add(process)
            yield
        finally:
            job.close()

else:
    import ctypes
    import signal
    from contextlib import nullcontext

    _PR_SET_PDEATHSIG = 1
    _libc = ctypes.CDLL(None)

    def _end_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    # No thread runs yet, and it is one system call.
    _APART: dict[str, Any] = {"start_new_session": True, "preexec_fn": _end_with_parent}

    def _tied(_process: "subprocess.Popen[str]") -> nullcontext[None]:
        return nullcontext()


Child = subprocess.Popen[str]
STOP_TIMEOUT_SECONDS = 10.0
"""Time for a child to end before it is killed."""


@contextmanager
def child(log: str, *arguments: str, end: Callable[[Child], object] = Child.terminate) -> Generator[Child]:
    """Run syncd during the context, with standard error in the file ``log``; ``end`` asks the process to end."""
    environment = {name: value for name, value in os.environ.items() if name != TOKEN}
    with open(log, "w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "syncd", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env=environment,
            **_APART,
        )
    with process, _tied(process):
        try:
            yield process
        finally:
            end(process)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
