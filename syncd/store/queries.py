"""What a person asks the store, and orders."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    Connection,
    and_,
    delete,
    false,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from syncd.core.model import FormerIdentity
from syncd.core.states import Cause, State, sources
from syncd.store import cancellations, uploads
from syncd.store.pages import record
from syncd.store.records import PENDING, Counts, HistoryEntry, JobRecord, RemoteRecord
from syncd.store.schema import contents, file_tallies, files, history, job_tallies, jobs, remotes, sessions, settings
from syncd.store.transitions import JOBS, UnitOfWork, apply_transition, load, load_all

BAD_COPY = "the server's copy was missing or damaged"


def job(connection: Connection, job_id: int) -> JobRecord | None:
    """Return one job."""
    row = load(connection, job_id)
    return None if row is None else record(row)


def jobs_of(connection: Connection, places: Sequence[tuple[str, str]]) -> list[JobRecord]:
    """Return the jobs of the files at ``places``, each a folder and a path in it."""
    at = or_(false(), *(and_(files.c.folder == folder, files.c.path == path) for folder, path in places))
    return [record(row) for row in connection.execute(JOBS.where(at).order_by(jobs.c.id))]


def steps(connection: Connection, job_id: int) -> list[HistoryEntry]:
    """Return the history of a job, oldest first."""
    rows = connection.execute(select(history).where(history.c.job_id == job_id).order_by(history.c.id))
    return [
        HistoryEntry(at=row.at, cause=row.cause, before=row.from_state, after=row.to_state, detail=row.detail)
        for row in rows
    ]


def counts(connection: Connection, remote_ids: Sequence[int]) -> Counts:
    """Count the jobs of remotes."""
    found = dict.fromkeys(State, 0)
    pending_bytes = 0
    for row in connection.execute(select(job_tallies).where(job_tallies.c.remote_id.in_(remote_ids))):
        found[row.state] += row.jobs
        pending_bytes += row.bytes if row.state in PENDING else 0
    return Counts(jobs=found, pending_bytes=pending_bytes)


def files_count(connection: Connection, folder: str) -> int:
    """Count the files that are present in a folder."""
    return connection.execute(select(file_tallies.c.files).where(file_tallies.c.folder == folder)).scalar() or 0


def order(work: UnitOfWork, cause: Cause, job_ids: Iterable[int]) -> list[int]:
    """Retry or cancel those of the jobs for which that makes sense; return their ids."""
    open_to_it = sources(cause)
    rows = [row for row in load_all(work.connection, jobs.c.id, job_ids) if row.state in open_to_it]
    if cause is Cause.RETRIED:
        cancellations.forget(work, rows)
        apply_transition(work, cause, rows, failures=0, due_at=work.now)
    else:
        cancellations.cancel(work, rows)
    return [row.id for row in rows]


def repair(work: UnitOfWork, job_ids: Iterable[int]) -> list[int]:
    """Forget what the jobs that are done have uploaded, and queue those whose file is here; return the ids of these."""
    rows = [row for row in load_all(work.connection, jobs.c.id, job_ids) if row.state is State.DONE]
    for row in rows:
        uploads.forget(work, row.remote_id, row.key)
    here = [row for row in rows if row.present]
    apply_transition(work, Cause.MISSING, here, detail=BAD_COPY, failures=0, due_at=work.now)
    return [row.id for row in here]


def remote(work: UnitOfWork, name: str, identity: str, former: Sequence[FormerIdentity] = ()) -> RemoteRecord:
    """Return the remote of that identity, made or given its new name as needed.

    Where there is none, the first record of ``former`` that there is becomes its record.
    """
    moved = None
    if _recorded(work.connection, FormerIdentity(identity=identity)) is None:
        moved = next((each for each in former if _take_over(work, each, identity)), None)
    apart = [each for each in former if each.url is not None and _recorded(work.connection, each) is not None]
    made = upsert(remotes).values(name=name, identity=identity, capabilities={})
    made = made.on_conflict_do_update(index_elements=[remotes.c.identity], set_={"name": made.excluded.name})
    row = work.connection.execute(made.returning(remotes)).one()
    return RemoteRecord(
        id=row.id, name=row.name, identity=row.identity, capabilities=row.capabilities, moved=moved, apart=tuple(apart)
    )


def find_remote(connection: Connection, identity: str, former: Sequence[FormerIdentity] = ()) -> int | None:
    """Return the number of the record that :func:`remote` would return; None where it would make one."""
    candidates = (FormerIdentity(identity=identity), *former)
    return next((found for each in candidates if (found := _recorded(connection, each)) is not None), None)


def recorded_apart(connection: Connection, identity: str, former: Sequence[FormerIdentity]) -> list[FormerIdentity]:
    """Return those of ``former`` at another address that have records beside the remote's own."""
    found = find_remote(connection, identity, former)
    return [each for each in former if each.url is not None and _recorded(connection, each) not in (None, found)]


def _recorded(connection: Connection, known_as: FormerIdentity) -> int | None:
    found = select(remotes.c.id).where(remotes.c.identity == known_as.identity)
    if known_as.name is not None:
        found = found.where(remotes.c.name == known_as.name)
    number: int | None = connection.execute(found).scalar()
    return number


def _take_over(work: UnitOfWork, former: FormerIdentity, identity: str) -> bool:
    """Give the record of ``former``, if there is one, its new identity.

    At another address nothing that was learned of the server is sure any more, and no earlier confirmation counts, in
    case that the server is not the same after all.
    """
    number = _recorded(work.connection, former)
    if number is None:
        return False
    values: dict[str, object] = (
        {"identity": identity} if former.url is None else {"identity": identity, "capabilities": {}}
    )
    work.connection.execute(update(remotes).where(remotes.c.id == number), values)
    if former.url is not None:
        work.connection.execute(update(contents).where(contents.c.remote_id == number), {"confirmed_at": 0.0})
    return True


def apply_terms(work: UnitOfWork, remote_id: int, terms: str) -> None:
    """Forget the uploads under way that were begun under other terms than ``terms``, which hold from now on."""
    key = f"terms of remote {remote_id}"
    if setting(work.connection, key) not in (None, terms):
        work.connection.execute(delete(sessions).where(sessions.c.remote_id == remote_id))
    set_setting(work, key, terms)


def save_capabilities(work: UnitOfWork, remote_id: int, capabilities: Mapping[str, int]) -> None:
    """Keep what was learned about a server, in place of what was known."""
    work.connection.execute(update(remotes).where(remotes.c.id == remote_id), {"capabilities": dict(capabilities)})


def setting(connection: Connection, key: str) -> str | None:
    """Return a value that was kept."""
    value: str | None = connection.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
    return value


def set_setting(work: UnitOfWork, key: str, value: str) -> None:
    """Keep a value."""
    kept = upsert(settings).values(key=key, value=value)
    work.connection.execute(kept.on_conflict_do_update(index_elements=[settings.c.key], set_={"value": value}))
