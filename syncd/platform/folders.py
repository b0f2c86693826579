"""Names the folders of the system service, and the user's runtime folder."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.folders import SYSTEM_CONFIG, SYSTEM_STATE, user_runtime_dir
else:
    from syncd.platform.posix.folders import SYSTEM_CONFIG, SYSTEM_STATE, user_runtime_dir

__all__ = ["SYSTEM_CONFIG", "SYSTEM_STATE", "user_runtime_dir"]
