"""Child processes that end with their parent and do not receive its Ctrl-C."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.child_process import DETACHED, ended_with_parent
else:
    from syncd.platform.posix.child_process import DETACHED, ended_with_parent

__all__ = ["DETACHED", "ended_with_parent"]
