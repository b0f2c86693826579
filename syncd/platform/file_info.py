"""Reads file properties for which each system has other calls.

The creation time distinguishes a file from a later file with the same inode number.
"""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.file_info import (
        birth_ns,
        file_system_id,
        has_stable_file_ids,
        is_link,
        on_disk_case,
        read_at,
        remote_file_system,
    )
else:
    from syncd.platform.posix.file_info import (
        birth_ns,
        file_system_id,
        has_stable_file_ids,
        is_link,
        on_disk_case,
        read_at,
        remote_file_system,
    )

__all__ = [
    "birth_ns",
    "file_system_id",
    "has_stable_file_ids",
    "is_link",
    "on_disk_case",
    "read_at",
    "remote_file_system",
]
