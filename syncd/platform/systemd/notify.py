"""Reports the state of the daemon to systemd, with the protocol of ``sd_notify``.

The functions do nothing if ``$NOTIFY_SOCKET`` is not set, and never raise: the daemon must run without systemd too.
"""

import contextlib
import os
import socket
import sys
import time


def ready(status: str) -> None:
    """Report the end of the start or of a reload; ``status`` is for ``systemctl status``."""
    _send(f"READY=1\nSTATUS={_line(status)}")


def reloading() -> None:
    """Report the start of a reload; :func:`ready` reports its end."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """Report that the daemon is shutting down."""
    _send("STOPPING=1")


def status(text: str) -> None:
    """Show ``text`` in ``systemctl status``."""
    _send(f"STATUS={_line(text)}")


def watchdog() -> None:
    """Report that the daemon is alive, more often than :func:`watchdog_interval`."""
    _send("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Return the seconds without a report after which systemd restarts the daemon.

    None if systemd does not watch this process.
    """
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
    if address.startswith("@"):  # abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        out.connect(address)
        out.sendall(message.encode("utf-8", "replace"))
