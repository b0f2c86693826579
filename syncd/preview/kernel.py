"""Makes Linux system calls for which Python has no function.

Each function raises OSError if the kernel, or a sandbox that already confines this process, rejects the call.
"""

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = struct.Struct("=6I")
"""The lower 32 bits of the effective, permitted and inheritable sets, then the upper 32 bits of each."""


def prctl(option: int, *arguments: int) -> int:
    """Call prctl with up to four arguments after the option: integers or addresses."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, padded)))


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by its number. The arguments are integers or addresses."""
    return _checked(_libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments)))


def capabilities() -> tuple[int, ...]:
    """Return the capabilities of this thread as six 32-bit words. All are 0 if it has none."""
    found = ctypes.create_string_buffer(_CAPABILITIES.size)
    _checked(_libc.capget(_capability_header(), found))
    return _CAPABILITIES.unpack(found.raw)


def clear_capabilities() -> None:
    """Drop every capability of this thread for good."""
    _checked(_libc.capset(_capability_header(), bytes(_CAPABILITIES.size)))


def _capability_header() -> bytes:
    return struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
