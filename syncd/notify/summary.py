"""Counts the results of uploads for the daily summary.

It also writes the summary, and says when it is due. Pure: the caller passes each change of a job, and the local time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from syncd.control.problems import Severity, problems
from syncd.control.schemas import Status
from syncd.core.states import Outcome, State
from syncd.core.text import count
from syncd.notify.message import Event, Message


@dataclass(slots=True)
class Results:
    """The results since ``since``, in seconds since the epoch.

    ``last_upload`` is the time of the last completed upload, also of an earlier run; that of the start if unknown.
    """

    since: float
    last_upload: float
    uploaded: int = 0
    duplicates: int = 0
    failed: int = 0
    bytes: int = 0

    def add(self, after: State, outcome: Outcome | None, size: int | None, at: float) -> None:
        """Count a job's transition to the state ``after`` at the time ``at``."""
        if after is State.FAILED:
            self.failed += 1
        elif after is State.DONE:
            self.last_upload = max(self.last_upload, at)
            if outcome is Outcome.UPLOADED:
                self.uploaded += 1
                self.bytes += size or 0
            else:
                self.duplicates += 1

    def restart(self, now: float) -> None:
        """Count from ``now`` on."""
        self.since = now
        self.uploaded = self.duplicates = self.failed = self.bytes = 0


def summary_date(minute: int, now: datetime) -> str:
    """Return the date of the latest summary that was due at the time ``now``.

    ``now`` is local time. The date is in ISO format. ``minute`` is the time of day at which summaries are due.
    """
    due_today = now.hour * 60 + now.minute >= minute
    return (now.date() if due_today else now.date() - timedelta(days=1)).isoformat()


def summary_message(document: Status, results: Results, host: str, *, since: datetime) -> Message:
    """Return the summary: the results and the present state.

    The results are those since the local time ``since``.
    """
    found = problems(document)
    left = sum(document["jobs"].get(state, 0) for state in ("queued", "uploading", "waiting"))
    lines = [
        f"Since {since:%Y-%m-%d %H:%M}:",
        f"- {count(results.uploaded, 'upload')} completed ({results.bytes / 1_000_000:,.1f} MB)",
        f"- {count(results.duplicates, 'upload')} not needed, because the server had the file",
        f"- {count(results.failed, 'upload')} failed",
        "",
        f"Now: {count(left, 'upload')} to do",
        *(f"- {problem.text}" for problem in found),
    ]
    title = f"syncd on {host}: {count(results.uploaded, 'upload')} completed, {count(left, 'upload')} to do"
    if found:
        title += f", {count(len(found), 'problem')}"
    severity = max((problem.severity for problem in found), default=Severity.OK)
    return Message(event=Event.SUMMARY, title=title, body="\n".join(lines), severity=severity)
