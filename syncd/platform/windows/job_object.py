"""A job object of Windows: processes that end with this one, however it ends, and that are kept within limits."""

import subprocess
import sys
from typing import Any

import win32job
import win32process

assert sys.platform == "win32"

_TICKS = 10_000_000
"""Of Windows in a second of computing."""


class JobObject:
    """A job whose processes end when it is closed, or this process ends.

    ``alone`` says that there may be one alone in it, which starts no other; ``memory`` is in bytes, for each.
    """

    def __init__(self, *, alone: bool = False, memory: int | None = None) -> None:
        create: Any = win32job.CreateJobObject  # which returns nothing, as its types have it
        self._job = create(None, "")
        self._limits: dict[str, Any] = win32job.QueryInformationJobObject(
            self._job, win32job.JobObjectExtendedLimitInformation
        )
        self._basic["LimitFlags"] = win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        if alone:
            self._basic["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_ACTIVE_PROCESS
            self._basic["ActiveProcessLimit"] = 1
        if memory is not None:
            self._basic["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_PROCESS_MEMORY
            self._limits["ProcessMemoryLimit"] = memory
        self._set()

    def add(self, process: "subprocess.Popen[Any]") -> None:
        """Take a process in, and all that it will start."""
        win32job.AssignProcessToJobObject(self._job, _handle(process))

    def limit_computing(self, process: "subprocess.Popen[Any]", seconds: float) -> None:
        """End ``process``, the only one, when it has computed for so many seconds more."""
        so_far = win32process.GetProcessTimes(_handle(process))["UserTime"]
        self._basic["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_PROCESS_TIME
        self._basic["PerProcessUserTimeLimit"] = so_far + round(seconds * _TICKS)
        self._set()

    def close(self) -> None:
        """End the processes that are left in it."""
        self._job.Close()

    @property
    def _basic(self) -> dict[str, Any]:
        limits: dict[str, Any] = self._limits["BasicLimitInformation"]
        return limits

    def _set(self) -> None:
        win32job.SetInformationJobObject(self._job, win32job.JobObjectExtendedLimitInformation, self._limits)


def _handle(process: "subprocess.Popen[Any]") -> int:
    return int(process._handle)  # type: ignore[attr-defined] # noqa: SLF001 - what Popen itself works with
