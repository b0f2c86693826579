"""Handles escape sequences, unbuffered keys and redirected output of terminals."""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.terminal import REDIRECTED_ENCODING, enable_escapes, unbuffered_keys
else:
    from syncd.platform.posix.terminal import REDIRECTED_ENCODING, enable_escapes, unbuffered_keys

__all__ = ["REDIRECTED_ENCODING", "enable_escapes", "unbuffered_keys"]
