"""What store and engine know of a job, in the shapes of the control API: names fit for showing, times with a zone."""

import time
from datetime import UTC, datetime

from syncd.control import shapes, targets
from syncd.core.states import State
from syncd.core.text import printable
from syncd.paths import full
from syncd.store.records import Change, HistoryEntry, JobRecord
from syncd.upload.transfer import Progress


def job(record: JobRecord, sent: int | None) -> shapes.Job:
    """Return a job as it is listed; ``sent`` bytes of it have arrived, if it is in flight."""
    due = max(0.0, record.due_at - time.time()) if record.due_at is not None else None
    path = full(record.folder, record.path)
    found: shapes.Job = {
        "id": record.id,
        "path": printable(path),
        "uri": targets.encode(path),
        "folder": printable(record.folder),
        "name": printable(record.path),
        "present": record.present,
        "remote": record.remote,
        "state": record.state.value,
        "outcome": record.outcome.value if record.outcome else None,
        "detail": record.detail,
        "size": record.size,
        "attempts": record.failures,
        "due_in_seconds": round(due, 1) if due is not None else None,
        "updated_at": _iso(record.updated_at),
        "key": record.key,
        "ref": record.ref,
    }
    if sent is not None and record.state is State.UPLOADING:
        found["sent"] = sent
    return found


def job_event(change: Change) -> shapes.JobEvent:
    """Return the change of a job's state."""
    return {
        "id": change.job_id,
        "path": printable(full(change.folder, change.path)),
        "folder": printable(change.folder),
        "remote": change.remote,
        "state": change.after.value,
        "cause": change.cause.value,
        "outcome": change.outcome.value if change.outcome else None,
        "detail": change.detail,
        "size": change.size,
        "updated_at": _iso(change.at),
    }


def flight(remote: str, progress: Progress) -> shapes.Flight:
    """Return how far a job is."""
    job = progress.job
    return {
        "id": job.id,
        "path": printable(full(job.folder, job.path)),
        "remote": remote,
        "size": job.size,
        "sent": progress.sent,
        "stage": progress.stage,
    }


def step(taken: HistoryEntry) -> shapes.Step:
    """Return one line of a job's history."""
    return {"at": _iso(taken.at), "state": taken.after.value, "cause": taken.cause.value, "detail": taken.detail}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
