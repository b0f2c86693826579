"""Limits child processes on Windows, and ends them when this process ends or crashes."""

import subprocess
import sys
from typing import Any

import win32job
import win32process

assert sys.platform == "win32"

_TICKS_PER_SECOND = 10_000_000
"""Windows counts CPU time in units of 100 ns."""


class JobObject:
    """A job whose processes end when it is closed or when this process ends.

    ``alone`` limits the job to one process, which cannot start others. ``memory`` limits each process, in bytes.
    """

    def __init__(self, *, alone: bool = False, memory: int | None = None) -> None:
        create: Any = win32job.CreateJobObject  # its type stub declares no result
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
        """Add a process, and all processes that it will start."""
        win32job.AssignProcessToJobObject(self._job, _handle(process))

    def limit_cpu_time(self, process: "subprocess.Popen[Any]", seconds: float) -> None:
        """End ``process``, the only one in the job, after this many more seconds of CPU time."""
        so_far = win32process.GetProcessTimes(_handle(process))["UserTime"]
        self._basic["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_PROCESS_TIME
        self._basic["PerProcessUserTimeLimit"] = so_far + round(seconds * _TICKS_PER_SECOND)
        self._set()

    def close(self) -> None:
        """End the remaining processes."""
        self._job.Close()

    @property
    def _basic(self) -> dict[str, Any]:
        limits: dict[str, Any] = self._limits["BasicLimitInformation"]
        return limits

    def _set(self) -> None:
        win32job.SetInformationJobObject(self._job, win32job.JobObjectExtendedLimitInformation, self._limits)


def _handle(process: "subprocess.Popen[Any]") -> int:
    return int(process._handle)  # type: ignore[attr-defined] # noqa: SLF001 - Popen has no public handle
