"""Decides when a file has settled, so that it can be uploaded.

A close event is the best sign. Without a close event, only a size and an mtime that stay the same for a while suggest
that the writer has finished; this is a guess, and the upload checks the file again.
"""

from dataclasses import dataclass, replace

from syncd.core.model import Fingerprint

GRACE = 0.1
"""Seconds that a closed file is given for what often follows: another write, or its mtime being set. A file whose
writer is still at it gets its first look after so long too."""
TICK = 0.02
"""Seconds by which the clock that files are stamped with may be behind: a tick of the kernel, and what exFAT keeps."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """The information of an event about the file at a path."""

    closed: bool = False
    """Nobody seems to be writing to it: its writer closed it, or it appeared or went in one step."""
    told: bool = False
    """An event told of the close itself."""
    moved_from: str | None = None
    """The path that it was renamed from."""
    same: bool = False
    """It is the file that was there before, and no other in its place."""

    def after(self, earlier: "Hint | None") -> "Hint":
        """Return what is known if ``earlier`` was told before: a file that is written to has still been renamed."""
        return replace(self, moved_from=earlier.moved_from) if self.same and earlier else self

    def behind(self, source: "Hint | None") -> "Hint":
        """Return this hint of a rename where ``source`` tells of the path that the file was renamed from."""
        return replace(self, moved_from=source.moved_from) if source and source.moved_from is not None else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """A file that is being watched until it is quiet. Times in seconds of one monotonic clock."""

    since: float
    """When it last showed a change."""
    hint: Hint = Hint()
    """What events told, and nothing has changed since."""
    fingerprint: Fingerprint | None = None
    """What the last look showed, if there was one since the last event."""
    not_before: float = 0.0
    """When it may be taken at the earliest, however quiet it is; an event ends that."""

    def noticed(self, hint: Hint, now: float) -> "Settling":
        """Return the state after an event, which invalidates earlier observations."""
        return Settling(since=now, hint=hint.after(self.hint))

    def seen(self, fingerprint: Fingerprint, now: float) -> "Settling":
        """Return the state after ``stat``; a change restarts the quiet time."""
        if self.fingerprint is None or fingerprint == self.fingerprint:
            return replace(self, fingerprint=fingerprint)
        return replace(self, fingerprint=fingerprint, since=now, hint=replace(self.hint, closed=False, told=False))

    def due(self, quiet: float) -> float:
        """Return when the file has settled if nothing changes until then."""
        return max(self.not_before, self.since + (min(GRACE, quiet) if self.hint.closed else quiet))

    def look_at(self, quiet: float) -> float:
        """Return the moment of the next look: stillness shows only between two of them, unless a close told."""
        return self.since + min(GRACE, quiet) if self.fingerprint is None else self.due(quiet)


def racy_for(mtime_ns: int, wall: float) -> float:
    """Return for how many seconds from ``wall`` on a change of the file may leave its mtime as it is.

    FAT keeps two seconds, others keep whole ones. What is hashed in that time may be changed and look the same.
    """
    granularity = 2.0 if mtime_ns % (2 * _SECOND) == 0 else 1.0 if mtime_ns % _SECOND == 0 else 0.0
    age = wall - mtime_ns / _SECOND
    return max(0.0, granularity + TICK - age) if age >= 0 else 0.0
