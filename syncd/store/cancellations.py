"""Which contents a person has cancelled, so that they stay so under another stamp, version or name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, or_, select, text, update

from syncd.core.states import Cause, State
from syncd.store.claims import finish_claim
from syncd.store.records import CancelledJob, Job
from syncd.store.schema import contents, files, jobs
from syncd.store.transitions import JOBS, UnitOfWork, apply_transition, fingerprint_of

CANCELLED = "cancelled by a person"

_UNHASHED = (
    JOBS.where(
        text("cause = 'cancelled' AND cancelled_sha256 IS NULL"), files.c.present, jobs.c.id > bindparam("after")
    )
    .order_by(jobs.c.id)
    .limit(bindparam("most"))
)
"""The condition is that of a partial index, which SQLite sees in plain words only."""
_NOTE = update(jobs).where(
    jobs.c.id == bindparam("job"), jobs.c.cause == Cause.CANCELLED, jobs.c.version == bindparam("of_version")
)
_ALIKE = JOBS.where(
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
    """Give jobs up, with the content of each as far as it is known."""
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
    """Take note that a person wants the contents of these jobs after all."""
    for row in rows:
        if row.cancelled_sha256 is not None:
            given = {"remote": row.remote_id, "sha256": row.cancelled_sha256, "job": row.id}
            work.connection.execute(_FORGET, given)


def unhashed(connection: Connection, after: int, limit: int) -> list[CancelledJob]:
    """Return cancelled jobs whose content is not known and whose file is here, by id, following ``after``."""
    return [_cancelled(row) for row in connection.execute(_UNHASHED, {"after": after, "most": limit})]


def note(work: UnitOfWork, job: CancelledJob, sha256: str) -> None:
    """Keep the content of a job that was cancelled, if it is still so."""
    work.connection.execute(_NOTE, {"job": job.id, "of_version": job.version, "cancelled_sha256": sha256})


def alike(connection: Connection, job: Job, sha256: str) -> list[CancelledJob]:
    """Return the jobs of the same remote, ``job`` among them, that were cancelled with this content."""
    given = {"remote": job.remote_id, "sha256": sha256, "job": job.id}
    return [_cancelled(row) for row in connection.execute(_ALIKE, given)]


def cancel_again(work: UnitOfWork, job: Job, sha256: str) -> State | None:
    """End the claim of a job whose content a person has cancelled before."""
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
