"""Terminal features that differ between systems: escape sequences, unbuffered keys, redirected output."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.terminal import REDIRECTED_ENCODING, enable_escapes, unbuffered_keys
else:
    from syncd.platform.posix.terminal import REDIRECTED_ENCODING, enable_escapes, unbuffered_keys

__all__ = ["REDIRECTED_ENCODING", "enable_escapes", "unbuffered_keys"]
