"""Denies access to files, TCP and other processes with a Landlock domain that has no rule.

Open files stay usable. Landlock controls files since Linux 5.13, TCP since 6.7, and signals and abstract Unix sockets
since 6.12. The domain denies all that the running kernel can deny.
"""

import ctypes
import os
import struct

from syncd.preview import kernel

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
"""The system call numbers on every architecture except Alpha and MIPS, where these numbers are unused."""
_ASK_VERSION = 1
_RULESET = struct.Struct("=QQQ")
"""Bit sets of the denied kinds of access to files, to the network, and to processes outside the domain."""
_TCP = 0b11
_SCOPES = 0b11


def restrict() -> None:
    """Apply the domain to this thread and to the threads that it starts later.

    Needs no_new_privs. Raises OSError if the kernel has no Landlock or rejects the domain.
    """
    denied = ctypes.create_string_buffer(denials(kernel.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)))
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.addressof(denied), _RULESET.size, 0)
    try:
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def denials(version: int) -> bytes:
    """Return ruleset attributes that deny every kind of access of this Landlock version."""
    files = 13 + (version >= 2) + (version >= 3) + (version >= 5)  # 2 adds links between folders, 3 truncation, 5 ioctl
    return _RULESET.pack((1 << files) - 1, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
