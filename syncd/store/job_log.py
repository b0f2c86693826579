"""Logs each change of a job's state as one event.

The events are ``job.queued``, ``job.uploading``, ``job.waiting``, ``job.done``, ``job.failed`` and ``job.skipped``.
"""

import structlog

from syncd.core.states import State
from syncd.core.text import printable
from syncd.store.records import Change

log = structlog.get_logger()


def log_change(change: Change) -> None:
    """Log a change; a failed job is a warning."""
    log_event = log.warning if change.after is State.FAILED else log.info
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
