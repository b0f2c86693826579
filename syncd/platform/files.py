"""Open flags, paths and file locks, for all systems.

``SAFE_OPEN_FLAGS`` follow no link, wait for no FIFO, are not inherited and keep bytes unchanged, as far as the system
has such flags.
"""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.files import (
        SAFE_OPEN_FLAGS,
        from_long_path,
        is_locked,
        join_path,
        lock_file,
        socket_folder,
        to_long_path,
    )
else:
    from syncd.platform.posix.files import (
        SAFE_OPEN_FLAGS,
        from_long_path,
        is_locked,
        join_path,
        lock_file,
        socket_folder,
        to_long_path,
    )

__all__ = ["SAFE_OPEN_FLAGS", "from_long_path", "is_locked", "join_path", "lock_file", "socket_folder", "to_long_path"]
