"""Tells the service manager how the daemon is (the protocol of ``sd_notify``).

Does nothing where ``$NOTIFY_SOCKET`` is not set, and never raises: a daemon must not end because nobody listens.
"""

import contextlib
import os
import socket
import sys
import time


def ready(status: str) -> None:
    """Say that starting up, or reloading, is done; ``status`` is one line for ``systemctl status``."""
    _send(f"READY=1\nSTATUS={_line(status)}")


def reloading() -> None:
    """Say that the configuration is being read again; :func:`ready` ends it."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """Say that the daemon is on its way out."""
    _send("STOPPING=1")


def status(text: str) -> None:
    """Show ``text`` in ``systemctl status``."""
    _send(f"STATUS={_line(text)}")


def watchdog() -> None:
    """Say that the daemon is alive; due every :func:`watchdog_interval` at least."""
    _send("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Return the seconds after which the manager takes silence for death, or None where it does not listen."""
    pid = os.environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 else None


def _line(text: str) -> str:
    return " ".join(text.split())


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if sys.platform == "win32" or not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        out.connect(address)
        out.sendall(message.encode("utf-8", "replace"))
