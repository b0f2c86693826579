"""Decides when to report conditions to a person.

It reports each condition once, and many at once in one report.

The rules are pure; the caller passes the time in seconds of a monotonic clock. A condition is due when it has lasted as
long as its ``hold``. A report follows :data:`GATHER_SECONDS` after the first one is due, so that those of the same
cause are in the same report, and not earlier than ``min_interval`` after the report before. What has ended by then is
not reported. The end of a reported condition is due at once, and is reported in the same way.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from syncd.notify.conditions import Condition

GATHER_SECONDS = 30.0
"""The time from the first condition that is due to the report."""
RESTORED_GRACE_SECONDS = 360.0
"""The time after a start in which a condition of the earlier run has not ended: an idle server is asked every 5 min."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The conditions to report to a person.

    These are the conditions that are new, those that continue, and the texts of those that ended.
    """

    started: tuple[Condition, ...]
    ended: tuple[str, ...]
    continuing: tuple[Condition, ...]


class Tracker:
    """Follows the conditions.

    ``reported`` has the texts of the conditions that an earlier run has reported, by key.
    """

    def __init__(self, reported: Mapping[str, str], *, now: float) -> None:
        self.reported = dict(reported)
        """The texts of the reported conditions that have not been reported as ended, by key."""
        self._present: Mapping[str, Condition] = {}
        self._since: dict[str, float] = {}
        self._ended_at = dict.fromkeys(reported, now + RESTORED_GRACE_SECONDS)
        self._last_report: float | None = None

    def observe(self, present: Mapping[str, Condition], now: float) -> None:
        """Record the conditions that are ``present`` now."""
        self._present = present
        self._since = {key: self._since.get(key, now) for key in present}
        self._ended_at = {key: self._ended_at.get(key, now) for key in self.reported if key not in present}

    def report(self, now: float, *, min_interval: float) -> Report | None:
        """Return the report to send now; None if nothing is due, or not yet."""
        starts = self._due_times(key for key in self._present if key not in self.reported)
        due = {key: at for key, at in (*starts, *self._ended_at.items()) if at <= now}
        waits = self._last_report is not None and now - self._last_report < min_interval
        if not due or now - min(due.values()) < GATHER_SECONDS or waits:
            return None
        self._last_report = now
        return self._report(due)

    def needs_attention(self, now: float) -> bool:
        """Return whether a condition has lasted so long that a person is told."""
        return any(now - at >= GATHER_SECONDS for _, at in self._due_times(self._present))

    def _due_times(self, keys: Iterable[str]) -> Iterable[tuple[str, float]]:
        return [(key, self._since[key] + self._present[key].hold) for key in keys]

    def _report(self, keys: Container[str]) -> Report:
        started = tuple(condition for key, condition in self._present.items() if key in keys)
        continuing = tuple(condition for key, condition in self._present.items() if key in self.reported)
        ended = tuple(text for key, text in self.reported.items() if key in keys)
        self.reported = {key: text for key, text in self.reported.items() if key not in keys}
        self.reported |= {condition.key: condition.text for condition in started}
        return Report(started=started, ended=ended, continuing=continuing)
