"""Logs each change of a job's state as one event.

The events are ``job.queued``, ``job.uploading``, ``job.waiting``, ``job.done``, ``job.failed`` and ``job.skipped``. The
files of a backlog are logged at debug, because their number would hide everything else;
:mod:`syncd.daemon.sync_progress` logs a summary of them.
"""

import time
from collections.abc import Callable

import structlog

from syncd import logs
from syncd.core.states import Cause, State
from syncd.core.text import printable
from syncd.store.records import PENDING, Change

log = structlog.get_logger()

MAX_LISTED = 50
"""So many new files get lines at info in each :data:`LISTING_SECONDS`; more of them are as good as a backlog."""
LISTING_SECONDS = 10.0
MAX_LISTED_PENDING = 1000
"""So many pending jobs have lines at info at a time, for example while the server is down."""
_NEWS = (Cause.FOUND, Cause.CHANGED, Cause.RETRIED, Cause.MISSING)
"""The causes that begin a series of lines about one file."""


class JobLog:
    """Decides the level of each line.

    ``each_file`` logs the files of a backlog at info too.
    """

    def __init__(self, *, each_file: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.each_file = each_file
        self.unlisted = 0
        """The number of jobs that have ended without a line at info; the reader resets it."""
        self._clock = clock
        self._listed: set[int] = set()
        self._begun = float("-inf")
        self._left = 0

    def on_change(self, change: Change) -> None:
        """Log a change; to be subscribed to the store's changes."""
        pending = change.after in PENDING
        if change.after is State.FAILED:
            _log(log.warning, change)
        elif self._is_listed(change):
            _log(log.info, change)
        else:
            self.unlisted += not pending
            if logs.debug_enabled():
                _log(log.debug, change)
        if not pending:
            self._listed.discard(change.job_id)

    def _is_listed(self, change: Change) -> bool:
        """Return whether the line of a change is at info."""
        if self.each_file or change.after is State.WAITING or change.cause is Cause.UNFIT:
            return True
        if change.job_id in self._listed:
            return True
        if change.backlog or change.cause not in _NEWS or len(self._listed) >= MAX_LISTED_PENDING:
            return False
        now = self._clock()
        if now - self._begun >= LISTING_SECONDS:
            self._begun, self._left = now, MAX_LISTED
        if self._left <= 0:
            return False
        self._left -= 1
        self._listed.add(change.job_id)
        return True


def log_change(change: Change) -> None:
    """Log a change at info; a failed job is a warning."""
    _log(log.warning if change.after is State.FAILED else log.info, change)


def _log(log_event: Callable[..., object], change: Change) -> None:
    fields = {
        "job": change.job_id,
        "path": printable(change.path),
        "folder": printable(change.folder),
        "remote": change.remote,
        "cause": change.cause.value,
        "size": change.size,
        "outcome": change.outcome,
        "detail": change.detail,
    }
    log_event(f"job.{change.after.value}", **{name: value for name, value in fields.items() if value is not None})
