"""A Landlock domain without a single rule: no file by its name, no TCP, no signal to a process outside.

What is open already stays open. Kernels have had files since 5.13, TCP since 6.7, signals and abstract Unix sockets
since 6.12; each gets what it knows.
"""

import ctypes
import os
import struct

from syncd.preview import kernel

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
"""The same numbers on every architecture that has Landlock, but Alpha and MIPS, where they are none at all."""
_ASK_VERSION = 1
_RULESET = struct.Struct("=QQQ")
"""The kinds of access that are denied unless a rule allows them: to files, to the network, beyond the domain."""
_TCP = 0b11
_SCOPES = 0b11


def restrict() -> None:
    """Deny this thread, and those that it starts, all that Landlock can deny. Needs no_new_privs."""
    denied = ctypes.create_string_buffer(denials(kernel.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)))
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.addressof(denied), _RULESET.size, 0)
    try:
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def denials(version: int) -> bytes:
    """Return the ruleset's attributes for a version of Landlock: every access that it knows."""
    files = 13 + (version >= 2) + (version >= 3) + (version >= 5)  # 2: linking elsewhere; 3: truncating; 5: ioctl
    return _RULESET.pack((1 << files) - 1, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
