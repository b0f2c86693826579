"""Decides when a file has settled, so that it can be uploaded.

A close event is the best sign. Without a close event, a size and an mtime that stay the same for a while suggest that
the writer has finished. That is a guess, and the upload checks the file again.

:class:`Hint` also carries a rename from the event to the store: :mod:`syncd.watch.observer` sets ``moved_from``,
:mod:`syncd.watch.debounce` waits for the file to settle, and :mod:`syncd.store.files` moves the file's record.
"""

from dataclasses import dataclass, replace

from syncd.core.model import Fingerprint

GRACE = 0.1
"""Seconds from an event to the first check. Programs often write again, or set the mtime, soon after closing."""
TICK = 0.02
"""Seconds by which an mtime may be behind the clock of an unknown system: some ticks of its kernel."""
_SECOND = 1_000_000_000
_GRANULARITIES = {2 * _SECOND: 2.0, _SECOND: 1.0, _SECOND // 100: 0.01}
"""The steps in which FAT, some other file systems and exFAT store mtimes, in nanoseconds and in seconds."""

MAX_RACY_SECONDS = 2.0 + TICK
"""The longest time that :func:`racy_for` returns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """The information of an event about the file at a path."""

    closed: bool = False
    """The file is probably complete: its writer closed it, or it appeared or disappeared in one step."""
    close_event: bool = False
    """The event reported that a writer closed the file."""
    moved_from: str | None = None
    """The path from which the file was renamed."""
    same_file: bool = False
    """The event shows that the path still has the same file."""

    def merge(self, earlier: "Hint | None") -> "Hint":
        """Return this hint with the ``earlier`` one's rename, if the path has the same file.

        The result is ``same_file`` only if both are.
        """
        if not self.same_file or earlier is None:
            return self
        return replace(self, moved_from=earlier.moved_from, same_file=earlier.same_file)

    def trace_back(self, source: "Hint | None") -> "Hint":
        """Return this hint with the first name of a file that was renamed more than once.

        ``source`` is the hint at ``moved_from``, if any.
        """
        return replace(self, moved_from=source.moved_from) if source and source.moved_from is not None else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """A file that has not settled yet. Times are in seconds of one monotonic clock."""

    since: float
    """The time of the latest event or change."""
    hint: Hint = Hint()
    """The information of the events, as far as no later change contradicts it."""
    fingerprint: Fingerprint | None = None
    """The result of the latest check; None if there was no check since the latest event."""
    not_before: float = 0.0
    """The file does not settle before this time, even if it is quiet. An event resets it."""
    backlog: bool = False
    """As in :class:`~syncd.core.model.FoundFile`. An event resets it."""

    def after_event(self, hint: Hint, now: float) -> "Settling":
        """Return the state after an event, which invalidates earlier checks."""
        return Settling(since=now, hint=hint.merge(self.hint))

    def after_check(self, fingerprint: Fingerprint, now: float) -> "Settling":
        """Return the state after a check of the file; a change restarts the quiet time."""
        if self.fingerprint is None or fingerprint == self.fingerprint:
            return replace(self, fingerprint=fingerprint)
        hint = replace(self.hint, closed=False, close_event=False)
        return replace(self, fingerprint=fingerprint, since=now, hint=hint)

    def due(self, quiet: float) -> float:
        """Return the time at which the file has settled if nothing changes before."""
        return max(self.not_before, self.since + (min(GRACE, quiet) if self.hint.closed else quiet))

    def next_check(self, quiet: float) -> float:
        """Return the time of the next check.

        The first check records the fingerprint with which the later ones compare.
        """
        return self.since + min(GRACE, quiet) if self.fingerprint is None else self.due(quiet)


def racy_for(mtime_ns: int, wall: float, tick: float = TICK) -> float:
    """Return the seconds after ``wall`` in which a write may leave the file's mtime unchanged.

    Some file systems store mtimes in coarse steps. If a file is hashed within a step, a later write may not show.
    ``wall`` is in seconds since the epoch. ``tick`` is how far an mtime may be behind the clock, in seconds.
    """
    granularity = next((seconds for step, seconds in _GRANULARITIES.items() if mtime_ns % step == 0), 0.0)
    age = wall - mtime_ns / _SECOND
    return max(0.0, granularity + tick - age) if age >= 0 else 0.0
