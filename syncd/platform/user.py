"""The current user and its rights; root can take another user's rights for a while."""

import os
import sys

if sys.platform == "win32":
    from syncd.platform.windows.user import (
        belongs_to,
        exists,
        grant_command,
        group_id,
        is_root,
        lingers,
        mkdir_command,
        own_name,
        owns,
        per_user_name,
        rights_of,
        uid,
    )
else:
    from syncd.platform.posix.user import (
        belongs_to,
        exists,
        grant_command,
        group_id,
        is_root,
        lingers,
        mkdir_command,
        own_name,
        owns,
        per_user_name,
        rights_of,
        uid,
    )

__all__ = [
    "belongs_to",
    "exists",
    "grant_command",
    "group_id",
    "has_access",
    "is_root",
    "lingers",
    "mkdir_command",
    "own_name",
    "owns",
    "per_user_name",
    "rights_of",
    "uid",
]


def has_access(path: str | os.PathLike[str], mode: int) -> bool:
    """Return whether the effective user has access to a file.

    ``mode`` as for :func:`os.access`.
    """
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)  # Windows has no effective IDs
