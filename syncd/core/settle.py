"""When a file is quiet enough to be taken.

A close event is the best sign there is; without one, only a size and an mtime that stay the same for a while tell
that the writer has finished, and even that is a guess which the upload checks again.
"""

from dataclasses import dataclass, replace

from syncd.core.model import Stamp

GRACE = 0.1
"""Seconds that a closed file is given for what often follows: another write, or its mtime being set. A file whose
writer is still at it gets its first look after so long too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """A file that is being watched until it is quiet. Times in seconds of one monotonic clock."""

    since: float
    """When it last showed a change."""
    closed: bool = False
    """Its writer closed it, or it appeared in one step, and nothing has changed since."""
    stamp: Stamp | None = None
    """What the last look showed, if there was one since the last event."""

    def noticed(self, *, closed: bool, now: float) -> "Settling":
        """Take note of an event; what earlier looks showed counts no more."""
        return replace(self, since=now, closed=closed, stamp=None)

    def seen(self, stamp: Stamp, now: float) -> "Settling":
        """Take note of what ``stat`` shows; a change starts the quiet time anew."""
        if self.stamp is None or stamp == self.stamp:
            return replace(self, stamp=stamp)
        return replace(self, stamp=stamp, since=now, closed=False)

    def due(self, quiet: float) -> float:
        """Return the moment from which the file may be taken if nothing changes until then."""
        return self.since + (min(GRACE, quiet) if self.closed else quiet)

    def look_at(self, quiet: float) -> float:
        """Return the moment of the next look: stillness shows only between two of them, unless a close told."""
        return self.since + min(GRACE, quiet) if self.stamp is None else self.due(quiet)
