"""Converts the values of the store, uploads and configuration to the control API's JSON.

:mod:`syncd.daemon.control_service` and :mod:`syncd.daemon.event_publisher` use it. Names become displayable, times get
a zone, and cursors become text.
"""

import base64
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from pydantic import ValidationError

from syncd.config.load import Loaded
from syncd.config.model import ImageRemote, MultipartRemote, Scheduler
from syncd.control import event_schemas, job_targets, schemas
from syncd.control.service import InvalidRequestError, Limits
from syncd.core.model import Sort
from syncd.core.states import State
from syncd.core.text import printable
from syncd.paths import full
from syncd.store.records import Change, Cursor, HistoryEntry, JobRecord
from syncd.upload.transfer import Progress
from syncd.upload.worker import RemoteWorker
from syncd.watch.folder import FolderStatus

_MAX_CURSOR_BYTES = 32 * 1024
_MAX_INTEGER = 2**63 - 1


def job(record: JobRecord, sent: int | None) -> schemas.Job:
    """Return a job; ``sent`` counts the bytes that have arrived, None unless it is in flight."""
    due = max(0.0, record.due_at - time.time()) if record.due_at is not None else None
    path = full(record.folder, record.path)
    found: schemas.Job = {
        "id": record.id,
        "path": printable(path),
        "uri": job_targets.encode_target(path),
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


def job_event(change: Change) -> event_schemas.JobEvent:
    """Return the event of a job's transition."""
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


def flight(remote: str, progress: Progress) -> event_schemas.ActiveUpload:
    """Return the progress of an upload."""
    job = progress.job
    return {
        "id": job.id,
        "path": printable(full(job.folder, job.path)),
        "remote": remote,
        "size": job.size,
        "sent": progress.sent,
        "stage": progress.stage,
    }


def step(entry: HistoryEntry) -> schemas.HistoryEntry:
    """Return a transition of a job."""
    return {"at": _iso(entry.at), "state": entry.after.value, "cause": entry.cause.value, "detail": entry.detail}


def folder_status(
    path: str, status: FolderStatus, remotes: Sequence[str], files: int, problem: str | None
) -> schemas.FolderStatus:
    """Return the state of a folder; ``problem`` is that of its ``after_upload`` action."""
    left_out = status.left_out
    return {
        "path": printable(path),
        "uri": job_targets.encode_target(path),
        "remotes": list(remotes),
        "state": status.state,
        "watch": status.watch,
        "files": files,
        "left_out_files": left_out.files if left_out else None,
        "left_out_videos": left_out.videos if left_out else None,
        "detail": "; ".join(filter(None, (status.detail, problem))) or None,
    }


def remote_status(
    worker: RemoteWorker, remote: ImageRemote | MultipartRemote, credentials_problem: str | None
) -> schemas.RemoteStatus:
    """Return the state of a remote."""
    status = worker.status()
    return {
        "name": worker.name,
        "type": remote.type,
        "url": remote.url,
        "state": status.state.value,
        "detail": status.reason,
        "retry_in_seconds": None if status.retry_in_seconds is None else round(status.retry_in_seconds, 1),
        "since": _iso(status.since),
        "last_ok_at": None if status.last_ok_at is None else _iso(status.last_ok_at),
        "credentials_problem": credentials_problem,
    }


def settings(loaded: Loaded, limits: Scheduler) -> schemas.Settings:
    """Return the configuration without its secrets, and the current ``limits``."""
    written = limits.model_dump(mode="json", by_alias=True)
    timetable = isinstance(written["bandwidth"], list)
    return {
        "file": printable(str(loaded.path)),
        "settings": loaded.config.model_dump(mode="json", by_alias=True),
        "live": {
            "bandwidth": "by timetable" if timetable else written["bandwidth"],
            "concurrency": written["concurrency"],
            "changed": [key for key in written if getattr(limits, key) != getattr(loaded.config.scheduler, key)],
        },
    }


def parse_limits(current: Scheduler, wanted: Limits) -> Scheduler:
    """Return the ``current`` limits with those that are ``wanted``.

    Raises :class:`InvalidRequestError`.
    """
    given = {key: value for key, value in dataclasses.asdict(wanted).items() if value is not None}
    try:
        return Scheduler.model_validate({**dict(iter(current)), **given})
    except ValidationError as error:
        (problem, *_) = error.errors(include_input=False)
        raise InvalidRequestError(f"{problem['loc'][0]}: {problem['msg']}") from None


def encode_cursor(cursor: Cursor | None, sort: Sort) -> str | None:
    """Return the text of a cursor, which continues a list of jobs in this order."""
    return None if cursor is None else base64.urlsafe_b64encode(json.dumps([sort, *cursor]).encode()).decode()


def decode_cursor(text: str | None, sort: Sort) -> Cursor | None:
    """Return the cursor in a text of :func:`encode_cursor` for the same order.

    Raises :class:`InvalidRequestError`.
    """
    if text is None:
        return None
    try:
        of, *cursor = json.loads(base64.b64decode(text, b"-_", validate=True), parse_constant=_reject_constant)
        kinds = (str, str, int) if sort is Sort.NAME else (int | float, int)
        valid = len(text) <= _MAX_CURSOR_BYTES and of == sort and len(cursor) == len(kinds)
        if valid and all(_is_storable(part, kind) for part, kind in zip(cursor, kinds, strict=True)):
            return tuple(cursor)
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidRequestError("before: not a cursor that an earlier answer gave as next, in this order")


def _is_storable(part: Any, kind: Any) -> bool:
    """Return True if ``part`` has this type and SQLite can store it.

    Raises ValueError for text without bytes.
    """
    if isinstance(part, str):
        return kind is str and b"\0" not in os.fsencode(part)
    return not isinstance(part, bool) and isinstance(part, kind) and abs(part) <= _MAX_INTEGER


def _reject_constant(_: str) -> NoReturn:
    raise ValueError("NaN and infinity are not allowed")


def instant(moment: datetime | None) -> str | None:
    """Return an aware time in UTC, to the second."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
