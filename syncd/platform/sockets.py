"""Connections between processes of this machine: Unix sockets, and named pipes on Windows.

``MAX_SOCKET_PATH_BYTES`` is the largest length of a Unix socket's path, None for pipes.
"""

import sys

if sys.platform == "win32":
    from syncd.platform.windows.sockets import (
        MAX_SOCKET_PATH_BYTES,
        Connection,
        connect,
        default_pipe,
        limit_unsent_bytes,
        socket_folder,
    )
else:
    from syncd.platform.posix.sockets import (
        MAX_SOCKET_PATH_BYTES,
        Connection,
        connect,
        default_pipe,
        limit_unsent_bytes,
        socket_folder,
    )

__all__ = ["MAX_SOCKET_PATH_BYTES", "Connection", "connect", "default_pipe", "limit_unsent_bytes", "socket_folder"]
