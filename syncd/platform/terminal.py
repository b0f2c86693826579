"""Terminal features that differ between systems: escape sequences and unbuffered keys."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.terminal import enable_escapes, unbuffered_keys
else:
    from syncd.platform.posix.terminal import enable_escapes, unbuffered_keys

__all__ = ["enable_escapes", "unbuffered_keys"]
