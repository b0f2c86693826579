"""Starts the worker on Linux, and confines it further than :mod:`syncd.preview.unix` does.

Each further layer is optional: an old kernel may lack it, and the sandbox of a service manager or container may forbid
it.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

from syncd.preview import kernel, landlock, seccomp, unix
from syncd.preview.unix import EXHAUSTED, Process, receive

__all__ = ["EXHAUSTED", "LAYERS", "Process", "begin", "receive"]

_CAPBSET_DROP = 24
_SET_NO_NEW_PRIVS = 38
_MAX_CAPABILITIES = 64


def begin() -> tuple[socket.socket, tuple[str, ...]]:
    """Do the same as :func:`syncd.preview.unix.begin`, then apply the :data:`FURTHER_LAYERS`."""
    channel, layers = unix.begin()
    return channel, (*layers, *confine())


def confine() -> tuple[str, ...]:
    """Apply the :data:`FURTHER_LAYERS` to this process for good.

    Return the names of those in force. Call it while the process has one thread: most layers apply to the calling
    thread and the threads that it starts later.
    """
    return tuple(name for name, layer in FURTHER_LAYERS.items() if _in_force(layer))


def drop_capabilities() -> None:
    """Drop all capabilities that root or a service manager has granted to this process."""
    if not any(kernel.capabilities()):
        return
    with suppress(OSError):  # the last capability, or no permission; no_new_privs covers the rest
        for number in range(_MAX_CAPABILITIES):
            kernel.prctl(_CAPBSET_DROP, number)
    kernel.clear_capabilities()


def forbid_privileges() -> None:
    """Set no_new_privs: no program that this process executes can gain privileges."""
    kernel.prctl(_SET_NO_NEW_PRIVS, 1)


def _in_force(layer: Callable[[], None]) -> bool:
    try:
        layer()
    except OSError:
        return False
    return True


FURTHER_LAYERS: Mapping[str, Callable[[], None]] = {
    "capabilities": drop_capabilities,
    "no_new_privs": forbid_privileges,
    "landlock": landlock.restrict,
    "seccomp": seccomp.restrict,
}
"""The layers that only Linux has, in the order of their use: the last two need no_new_privs."""
LAYERS = (*unix.LAYERS, *FURTHER_LAYERS)
"""All sandbox layers that Linux supports."""
