"""Creates files for this user alone, and finds out who else can read a file."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.private import (
        access_advice,
        create_private,
        mode_allows_others,
        others_can_read,
        owner_only_command,
    )
else:
    from syncd.platform.posix.private import (
        access_advice,
        create_private,
        mode_allows_others,
        others_can_read,
        owner_only_command,
    )

__all__ = ["access_advice", "create_private", "mode_allows_others", "others_can_read", "owner_only_command"]
