"""When a file was made, which with its inode tells it from one that got the same inode later.

``os.stat`` does not tell on Linux before Python 3.15, so the system is asked itself.
"""

import os
import struct
import sys

if sys.platform == "linux":
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    _HERE, _LINK_ITSELF, _DESCRIPTOR = -100, 0x100, 0x1000
    """AT_FDCWD, AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH."""
    _BIRTH = 0x800
    """STATX_BTIME."""
    _SIZE, _MASK_AT, _BIRTH_AT = 256, 0, 0x50

    def birth_ns(file: str | int, *, follow_symlinks: bool = False) -> int | None:
        """Return when the file at a path, or an open one, was made, in nanoseconds; None where that can't be told."""
        found = ctypes.create_string_buffer(_SIZE)
        if not hasattr(_libc, "statx"):
            return None
        if isinstance(file, int):
            failed = _libc.statx(file, b"", _DESCRIPTOR, _BIRTH, found)
        else:
            failed = _libc.statx(_HERE, os.fsencode(file), 0 if follow_symlinks else _LINK_ITSELF, _BIRTH, found)
        if failed or not struct.unpack_from("=I", found, _MASK_AT)[0] & _BIRTH:
            return None
        seconds, nanoseconds = struct.unpack_from("=qI", found, _BIRTH_AT)
        return int(seconds * 1_000_000_000 + nanoseconds)
else:

    def birth_ns(file: str | int, *, follow_symlinks: bool = False) -> int | None:
        """Return when the file at a path, or an open one, was made, in nanoseconds; None where that can't be told."""
        try:
            found = os.stat(file) if isinstance(file, int) else os.stat(file, follow_symlinks=follow_symlinks)
        except OSError:
            return None
        if sys.platform == "win32":
            return found.st_ctime_ns  # there it is when the file was made
        birth: float | None = getattr(found, "st_birthtime", None)
        return None if birth is None else round(birth * 1_000_000_000)
