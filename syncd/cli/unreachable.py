"""What to say where nobody listens at the control socket and yet a daemon runs, or may run.

Only the lock in the state folder tells. Imports little, as ``syncd ctl`` does.
"""

import os
from dataclasses import dataclass

from syncd.platform.lock import holder


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """The case in words, and what to do. ``runs`` says whether a daemon certainly runs."""

    runs: bool
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


def explain(socket: str | os.PathLike[str], state_dir: str | os.PathLike[str]) -> Unreachable | None:
    """Say why nobody listens at ``socket``; None if that is because no daemon runs."""
    try:
        pid = holder(state_dir)
    except OSError:
        what = f"the daemon is not running, as far as this user may see (nobody listens at {socket})"
        return Unreachable(runs=False, what=what, advice="ask as root or as the daemon's user")
    if pid is None:
        return None
    advice = (
        "a daemon that starts, or whose socket was removed, makes it within seconds; if it stays so and this is not "
        f"syncd once, end process {pid} and start the daemon again"
    )
    return Unreachable(runs=True, what=f"syncd runs (pid {pid}), but nobody listens at {socket}", advice=advice)
