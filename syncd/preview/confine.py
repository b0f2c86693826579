"""Apply the sandbox layers of the worker that exist only on Linux.

Each layer is optional: an old kernel lacks some, and the sandbox of a service manager or a container may forbid any.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from syncd.preview import kernel, landlock, seccomp

assert sys.platform == "linux"

_CAPBSET_DROP = 24
_SET_NO_NEW_PRIVS = 38
_MAX_CAPABILITIES = 64


def confine() -> tuple[str, ...]:
    """Apply all available :data:`LAYERS` to this process, irrevocably; return the names of those in force.

    Call it while the process has one thread: most layers apply to the calling thread and the threads it starts later.
    """
    return tuple(name for name, layer in LAYERS.items() if _in_force(layer))


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


LAYERS: Mapping[str, Callable[[], None]] = {
    "capabilities": drop_capabilities,
    "no_new_privs": forbid_privileges,
    "landlock": landlock.restrict,
    "seccomp": seccomp.restrict,
}
"""In the order in which they are applied: the last two need no_new_privs."""
