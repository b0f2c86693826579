"""Apply a Landlock domain without any rule: deny opening files, TCP, and signals to other processes.

Open files stay usable. Kernels support files since 5.13, TCP since 6.7, signals and abstract Unix sockets since 6.12;
the domain denies whatever the running kernel supports.
"""

import ctypes
import os
import struct

from syncd.preview import kernel

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
"""The system call numbers on every architecture but Alpha and MIPS, where these numbers are unused."""
_ASK_VERSION = 1
_RULESET = struct.Struct("=QQQ")
"""Bit sets of the denied kinds of access: to files, to the network, to processes outside the domain."""
_TCP = 0b11
_SCOPES = 0b11


def restrict() -> None:
    """Deny this thread, and the threads that it starts later, all that Landlock can deny. Needs no_new_privs."""
    denied = ctypes.create_string_buffer(denials(kernel.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)))
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.addressof(denied), _RULESET.size, 0)
    try:
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def denials(version: int) -> bytes:
    """Return the ruleset attributes that deny every kind of access that this Landlock version knows."""
    files = (
        13 + (version >= 2) + (version >= 3) + (version >= 5)
    )  # version 2 adds links between folders, 3 truncation, 5 ioctl
    return _RULESET.pack((1 << files) - 1, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
