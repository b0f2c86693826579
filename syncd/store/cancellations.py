"""Remembers which contents the user cancelled.

A cancelled content stays cancelled if its file gets another fingerprint, version or name. Retrying one of its jobs ends
this.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, or_, select, text, update

from syncd.core.states import Cause, State
from syncd.store.claims import finish_claim
from syncd.store.job_rows import JOBS, fingerprint_of
from syncd.store.records import CancelledJob, Job
from syncd.store.schema import contents, files, jobs
from syncd.store.transitions import UnitOfWork, apply_transition

CANCELLED = "cancelled by a person"

_UNHASHED = (
    JOBS.where(
        text("cause = 'cancelled' AND cancelled_sha256 IS NULL"), files.c.present, jobs.c.id > bindparam("after")
    )
    .order_by(jobs.c.id)
    .limit(bindparam("most"))
)
"""The condition is literal SQL: SQLite uses the partial index only if the texts are the same."""
_SAVE_SHA256 = update(jobs).where(
    jobs.c.id == bindparam("job"), jobs.c.cause == Cause.CANCELLED, jobs.c.version == bindparam("of_version")
)
_CANCELLED_ALIKE = JOBS.where(
    jobs.c.remote_id == bindparam("remote"),
    jobs.c.cancelled_sha256 == bindparam("sha256"),
    or_(jobs.c.id == bindparam("job"), and_(jobs.c.state == State.SKIPPED, jobs.c.cause == Cause.CANCELLED)),
)
_SHA256 = select(contents.c.sha256).where(
    contents.c.remote_id == bindparam("remote"), contents.c.key == bindparam("content")
)
_FORGET = (
    update(jobs)
    .where(jobs.c.remote_id == bindparam("remote"), jobs.c.cancelled_sha256 == bindparam("sha256"))
    .where(or_(jobs.c.id == bindparam("job"), exists().where(files.c.id == jobs.c.file_id, ~files.c.present)))
    .values(cancelled_sha256=None)
)


def cancel(work: UnitOfWork, rows: Sequence[Row[Any]]) -> None:
    """Cancel jobs, and save the SHA-256 of each content where it is known."""
    alike: defaultdict[str | None, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        alike[_known_sha256(work.connection, row)].append(row)
    for sha256, group in alike.items():
        apply_transition(work, Cause.CANCELLED, group, detail=CANCELLED, cancelled_sha256=sha256)


def _known_sha256(connection: Connection, row: Row[Any]) -> str | None:
    if row.key is None or row.key_version != row.file_version:
        return None
    sha256: str | None = connection.execute(_SHA256, {"remote": row.remote_id, "content": row.key}).scalar()
    return sha256


def forget(work: UnitOfWork, rows: Iterable[Row[Any]]) -> None:
    """Forget that the contents of these jobs were cancelled, because the user retries them."""
    for row in rows:
        if row.cancelled_sha256 is not None:
            parameters = {"remote": row.remote_id, "sha256": row.cancelled_sha256, "job": row.id}
            work.connection.execute(_FORGET, parameters)


def cancelled_unhashed(connection: Connection, *, after: int = 0, limit: int = 100) -> list[CancelledJob]:
    """Return cancelled jobs whose content is unknown and whose file is present.

    The jobs have ids above ``after`` and are sorted by id.
    """
    return [_cancelled(row) for row in connection.execute(_UNHASHED, {"after": after, "most": limit})]


def save_cancelled_content(work: UnitOfWork, job: CancelledJob, sha256: str) -> None:
    """Save the SHA-256 of a cancelled job's content, if the job and the file are unchanged."""
    work.connection.execute(_SAVE_SHA256, {"job": job.id, "of_version": job.version, "cancelled_sha256": sha256})


def cancelled_alike(connection: Connection, job: Job, sha256: str) -> list[CancelledJob]:
    """Return the jobs of the same remote that were cancelled with this content.

    ``job`` itself is included if it was cancelled with this content.
    """
    parameters = {"remote": job.remote_id, "sha256": sha256, "job": job.id}
    return [_cancelled(row) for row in connection.execute(_CANCELLED_ALIKE, parameters)]


def cancel_again(work: UnitOfWork, job: Job, sha256: str) -> State | None:
    """Cancel a claimed job whose content the user has cancelled before.

    Returns the new state, None if the claim is over.
    """
    return finish_claim(work, job, Cause.CANCELLED, detail=CANCELLED, values={"cancelled_sha256": sha256})


def _cancelled(row: Row[Any]) -> CancelledJob:
    return CancelledJob(
        id=row.id,
        folder=row.folder,
        path=row.path,
        present=row.present,
        fingerprint=fingerprint_of(row),
        version=row.version,
    )
