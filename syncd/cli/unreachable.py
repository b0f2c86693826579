"""Explains why nothing listens at the control socket.

The lock of the state folder shows whether a daemon runs. Imports little, so that ``syncd ctl`` starts fast.
"""

import os
from dataclasses import dataclass

from syncd.platform.lock import holder


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """A problem and its fix. ``runs`` is true if a process certainly holds the lock."""

    runs: bool
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}"


def explain(socket: str | os.PathLike[str], state_dir: str | os.PathLike[str]) -> Unreachable | None:
    """Return the reason why nothing listens at ``socket``; None if no daemon runs."""
    try:
        pid = holder(state_dir)
    except OSError:
        what = f"nothing listens at {socket}, and this user cannot read the daemon's lock"
        return Unreachable(runs=False, what=what, advice="run the command as root or as the daemon's user")
    if pid is None:
        return None
    advice = (
        "a daemon creates its socket within seconds; if the problem remains and the process is not syncd once, "
        f"end process {pid} and start the daemon again"
    )
    return Unreachable(runs=True, what=f"syncd runs (pid {pid}), but nothing listens at {socket}", advice=advice)
