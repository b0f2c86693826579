"""Explains a control socket without a listener while a daemon runs, or may run.

The lock in the state folder tells whether one runs. Imports little, as ``syncd ctl`` must start fast.
"""

import os
from dataclasses import dataclass

from syncd.platform.lock import holder


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """The problem and the fix as texts. ``runs`` is true if a daemon certainly runs."""

    runs: bool
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


def explain(socket: str | os.PathLike[str], state_dir: str | os.PathLike[str]) -> Unreachable | None:
    """Return why nothing listens at ``socket``; None if no daemon runs."""
    try:
        pid = holder(state_dir)
    except OSError:
        what = f"the daemon seems not to be running, but this user cannot read its lock (nothing listens at {socket})"
        return Unreachable(runs=False, what=what, advice="run the command as root or as the daemon's user")
    if pid is None:
        return None
    advice = (
        "a daemon creates its socket within seconds; if the problem remains and the process is not syncd once, "
        f"end process {pid} and start the daemon again"
    )
    return Unreachable(runs=True, what=f"syncd runs (pid {pid}), but nothing listens at {socket}", advice=advice)
