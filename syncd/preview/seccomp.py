"""Allows only the system calls that decoding an open file needs, with a seccomp filter.

A forbidden call fails with EPERM, so a library that does not depend on the call continues. A call newer than this list
fails with ENOSYS, as on an older kernel, so a C library uses an older call instead: not clone3 but clone, whose flags a
filter can check. A call with a number of another architecture ends the process.
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
"""The allowed calls and their numbers on the architectures of :data:`AUDIT_ARCH`, in that order."""
NEWER = 424
"""The first number from which calls have the same numbers on all architectures. None of them is allowed."""

_STEP = struct.Struct("=HBBI")
"""A BPF instruction: operation, instructions to skip if true, instructions to skip if false, operand."""
_SET_SECCOMP, _MODE_FILTER = 22, 2
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets of these fields in the kernel's seccomp_data structure."""
_AT_EMPTY_PATH, _CLONE_THREAD = 0x1000, 0x10000
_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 3, 1030


@dataclass(frozen=True, kw_only=True)
class _Condition:
    """A condition for allowing a call, on the lower 32 bits of one argument.

    The argument must equal one of ``values``, have a bit of ``some``, or have no bit of ``none``.
    """

    argument: int
    values: tuple[int, ...] = ()
    some: int = 0
    none: int = 0


def restrict() -> None:
    """Install the filter for this thread and the threads that it starts later.

    Needs no_new_privs. Raises OSError on other architectures, or if the kernel rejects the filter.
    """
    machine = platform.machine()
    if machine not in AUDIT_ARCH or sys.maxsize < 2**32:  # a 32-bit program sees the name of the 64-bit kernel
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    install(program(machine, os.getpid()))


def install(code: bytes) -> None:
    """Install a filter in the kernel's format. It applies like that of :func:`restrict`."""
    instructions = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // _STEP.size, ctypes.addressof(instructions)))
    kernel.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def program(machine: str, pid: int) -> bytes:
    """Return the filter for an architecture and this process id, in the kernel's format."""
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
        # Threads, but no processes.
        "clone": _Condition(argument=0, some=_CLONE_THREAD),
        # No command that sends signals, or sets a lock or a lease on the file.
        "fcntl": _Condition(argument=1, values=(_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC)),
        # No executable memory.
        "mmap": _Condition(argument=2, none=mmap.PROT_EXEC),
        "mprotect": _Condition(argument=2, none=mmap.PROT_EXEC),
        # glibc 2.33 to 2.38 use this call for fstat. The filter can't see the path, so a program that sets this flag
        # can read the size and times of any file, but can't open the file.
        "newfstatat": _Condition(argument=3, some=_AT_EMPTY_PATH),
        # Only the limits of this process, which can't raise its hard limits.
        "prlimit64": _Condition(argument=0, values=(0,)),
        # Only signals to this process: abort() sends one when the heap is damaged.
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
    """Return one instruction. Skips count from the next instruction."""
    return _STEP.pack(operation, if_true, if_false, operand)
