"""The creation time of a file, which distinguishes it from a later file with the same inode number.

``os.stat`` lacks it on Linux before Python 3.15, so this module calls ``statx``.
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
        """Return the creation time of a path or an open file in nanoseconds; None if it is unknown."""
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
        """Return the creation time of a path or an open file in nanoseconds; None if it is unknown."""
        try:
            found = os.stat(file) if isinstance(file, int) else os.stat(file, follow_symlinks=follow_symlinks)
        except OSError:
            return None
        if sys.platform == "win32":
            return found.st_ctime_ns  # on Windows, this is the creation time
        birth: float | None = getattr(found, "st_birthtime", None)
        return None if birth is None else round(birth * 1_000_000_000)
