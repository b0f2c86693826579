"""Starts child processes that end with their parent, and quotes shell commands."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.child_process import (
        COPY_PICTURES_COMMAND,
        DETACHED,
        SEPARATE,
        ended_with_parent,
        kill_tree,
        quote_argument,
    )
else:
    from syncd.platform.posix.child_process import (
        COPY_PICTURES_COMMAND,
        DETACHED,
        SEPARATE,
        ended_with_parent,
        kill_tree,
        quote_argument,
    )

__all__ = ["COPY_PICTURES_COMMAND", "DETACHED", "SEPARATE", "ended_with_parent", "kill_tree", "quote_argument"]
