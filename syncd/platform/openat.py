"""Opens, renames and removes files by their names in an open directory.

Links are not followed, and a name cannot lead elsewhere. Whatever happens to its path, an open directory stays the
same. Directories and files are descriptors; close them with ``os.close``. All functions block and raise OSError.
"""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.openat import (
        create,
        enter,
        lock_directory,
        open_directory,
        open_file,
        open_inside,
        remove,
        rename,
        rename_private,
        set_times,
        sync,
    )
else:
    from syncd.platform.posix.openat import (
        create,
        enter,
        lock_directory,
        open_directory,
        open_file,
        open_inside,
        remove,
        rename,
        rename_private,
        set_times,
        sync,
    )

__all__ = [
    "create",
    "enter",
    "lock_directory",
    "open_directory",
    "open_file",
    "open_inside",
    "remove",
    "rename",
    "rename_private",
    "set_times",
    "sync",
]
