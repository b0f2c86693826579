"""The Unix twin of :mod:`syncd.platform.windows.sockets`."""

import os
import socket
import sys
from pathlib import Path

assert sys.platform != "win32"

Connection = socket.socket

MAX_SOCKET_PATH_BYTES: int | None = 107
"""The limit of Linux."""


def connect(path: str, timeout: float) -> Connection:
    """Connect to the socket at ``path``.

    Raises OSError, TimeoutError after ``timeout`` seconds.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def default_pipe(service: str | None, state_dir: Path | None) -> Path | None:  # noqa: ARG001 - twin
    """Return None: Unix sockets are files in a folder."""
    return None


def socket_folder(address: str) -> str | None:
    """Return the folder of the socket with this address."""
    return os.path.dirname(os.path.abspath(address))


def limit_unsent_bytes(connection: socket.socket, size: int) -> None:
    """Limit the bytes that the kernel buffers unsent, on Linux."""
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)
