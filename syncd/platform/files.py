"""Open flags, paths, flushes and file locks, for all systems.

``SAFE_OPEN_FLAGS`` follow no link, wait for no FIFO, are not inherited and keep bytes unchanged, as far as the system
has such flags. ``WINDOWS_NAMES`` is true if the rules of Windows apply to file names, ``OPEN_FILES_REPLACEABLE`` if
a file can be deleted or replaced while a process has it open.
"""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.files import (
        OPEN_FILES_REPLACEABLE,
        SAFE_OPEN_FLAGS,
        WINDOWS_NAMES,
        from_long_path,
        from_uri_path,
        is_locked,
        join_path,
        lock_file,
        sync_path,
        to_long_path,
        to_uri_path,
    )
else:
    from syncd.platform.posix.files import (
        OPEN_FILES_REPLACEABLE,
        SAFE_OPEN_FLAGS,
        WINDOWS_NAMES,
        from_long_path,
        from_uri_path,
        is_locked,
        join_path,
        lock_file,
        sync_path,
        to_long_path,
        to_uri_path,
    )

__all__ = [
    "OPEN_FILES_REPLACEABLE",
    "SAFE_OPEN_FLAGS",
    "WINDOWS_NAMES",
    "from_long_path",
    "from_uri_path",
    "is_locked",
    "join_path",
    "lock_file",
    "sync_path",
    "to_long_path",
    "to_uri_path",
]
