"""Facts about files for which Windows needs its own calls: case on disk, links, stable IDs, reads at an offset."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.file_info import has_stable_file_ids, is_link, on_disk_case, read_at
else:
    from syncd.platform.posix.file_info import has_stable_file_ids, is_link, on_disk_case, read_at

__all__ = ["has_stable_file_ids", "is_link", "on_disk_case", "read_at"]
