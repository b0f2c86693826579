"""A filter of system calls: the few that decoding an open file takes are allowed, all others fail.

What is not allowed gets EPERM, so that a library that asks for something in vain goes on without it. A call that is
newer than this list gets ENOSYS, as from an older kernel, and a C library falls back on what it used before: from
clone3 on clone, whose flags a filter can see. Only a call by the numbers of another architecture ends the process.
"""

import ctypes
import errno
import mmap
import os
import platform
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from syncd.preview import kernel

assert sys.platform == "linux"

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS: Mapping[str, tuple[int, int]] = {
    "brk": (12, 214),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "close": (3, 57),
    "dup": (32, 23),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "futex": (202, 98),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "nanosleep": (35, 101),
    "newfstatat": (262, 79),
    "pread64": (17, 67),
    "prlimit64": (302, 261),
    "read": (0, 63),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "sendto": (44, 206),
    "set_robust_list": (273, 99),
    "sigaltstack": (131, 132),
    "sysinfo": (99, 179),
    "tgkill": (234, 131),
    "write": (1, 64),
    "writev": (20, 66),
}
"""What is allowed, and its number on each of :data:`AUDIT_ARCH`."""
NEWER = 424
"""The first number that is the same everywhere: of what has come since, nothing is allowed."""

_STEP = struct.Struct("=HBBI")
"""An instruction: the operation, how many to skip if it is true and if it is false, and its operand."""
_SET_SECCOMP, _MODE_FILTER = 22, 2
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where these are in what the kernel gives the filter."""
_AT_EMPTY_PATH, _CLONE_THREAD = 0x1000, 0x10000
_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 3, 1030


@dataclass(frozen=True, kw_only=True)
class _Condition:
    """What the lower half of one argument has to be, for a call to be allowed."""

    argument: int
    values: tuple[int, ...] = ()
    some: int = 0
    none: int = 0


def restrict() -> None:
    """Put the filter on this thread and those that it starts. Needs no_new_privs; OSError where there is no filter."""
    machine = platform.machine()
    if machine not in AUDIT_ARCH or sys.maxsize < 2**32:  # the kernel's own name is told to a 32-bit program too
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    install(program(machine, os.getpid()))


def install(code: bytes) -> None:
    """Put a filter in the kernel's format on this thread and those that it starts."""
    instructions = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // _STEP.size, ctypes.addressof(instructions)))
    kernel.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def program(machine: str, pid: int) -> bytes:
    """Return the filter for one of :data:`AUDIT_ARCH`, in the kernel's format, for the process ``pid``."""
    column = list(AUDIT_ARCH).index(machine)
    conditions = _conditions(pid)
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_IF_EQUAL, AUDIT_ARCH[machine], 1, 0),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NUMBER),
    ]
    for name, numbers in CALLS.items():
        then = _tested(conditions[name]) if name in conditions else [_step(_RETURN, _ALLOW)]
        code += [_step(_IF_EQUAL, numbers[column], 0, len(then)), *then]
    code += [_step(_IF_AT_LEAST, NEWER, 0, 1), _refused(errno.ENOSYS), _refused(errno.EPERM)]
    return b"".join(code)


def _conditions(pid: int) -> dict[str, _Condition]:
    return {
        # A thread, no process.
        "clone": _Condition(argument=0, some=_CLONE_THREAD),
        # Not those that have a signal sent, or put a lock or a lease on the file.
        "fcntl": _Condition(argument=1, values=(_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC)),
        # No code that the process has written itself.
        "mmap": _Condition(argument=2, none=mmap.PROT_EXEC),
        "mprotect": _Condition(argument=2, none=mmap.PROT_EXEC),
        # As fstat, which is this call in glibc 2.33 to 2.38. A path can't be seen here: one may be asked for its size
        # and times, by a program that adds this flag, but none can be opened.
        "newfstatat": _Condition(argument=3, some=_AT_EMPTY_PATH),
        # Its own limits, which are as low as they can be raised to, and those of no other process.
        "prlimit64": _Condition(argument=0, values=(0,)),
        # abort(), when the heap is found to be damaged.
        "tgkill": _Condition(argument=0, values=(pid,)),
    }


def _tested(condition: _Condition) -> list[bytes]:
    code = [_step(_LOAD, _ARGUMENTS + 8 * condition.argument)]
    for value in condition.values:
        code += [_step(_IF_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
    if condition.some:
        code += [_step(_IF_ANY_BIT, condition.some, 0, 1), _step(_RETURN, _ALLOW)]
    if condition.none:
        code += [_step(_IF_ANY_BIT, condition.none, 1, 0), _step(_RETURN, _ALLOW)]
    return [*code, _refused(errno.EPERM)]


def _refused(code: int) -> bytes:
    return _step(_RETURN, _ERRNO | code)


def _step(operation: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return one instruction; what is skipped is counted from the next one."""
    return _STEP.pack(operation, if_true, if_false, operand)
