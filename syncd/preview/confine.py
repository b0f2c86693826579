"""The layers of the worker's sandbox that only Linux has. Each is tried; one that can't be had is done without.

An old kernel lacks some, and the sandbox of a service manager or a container may refuse any of them.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from syncd.preview import kernel, landlock, seccomp

assert sys.platform == "linux"

_CAPBSET_DROP = 24
_SET_NO_NEW_PRIVS = 38
_MOST_CAPABILITIES = 64


def confine() -> tuple[str, ...]:
    """Confine this process for good; return the names of those of :data:`LAYERS` that are now in force.

    To be called while there is one thread: most layers are a thread's own, and are passed on to those it starts.
    """
    return tuple(name for name, layer in LAYERS.items() if _in_force(layer))


def drop_capabilities() -> None:
    """Give up what root, or a service manager, has given this process beyond other users' rights."""
    if not any(kernel.capabilities()):
        return
    with suppress(OSError):  # the end of the list, or no right to; without new privileges it makes no difference
        for number in range(_MOST_CAPABILITIES):
            kernel.prctl(_CAPBSET_DROP, number)
    kernel.clear_capabilities()


def forbid_privileges() -> None:
    """See to it that no program that is executed has more rights than this process."""
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
"""In the order in which they are put in force: the last two need the one before."""
