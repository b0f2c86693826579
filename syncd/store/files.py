"""Records files that a watch has found, changed, renamed or lost, and updates their jobs.

:func:`diff` and :func:`observe` apply the same rules. ``diff`` runs in the reader's thread, so the writer never sees
unchanged files.

Rename detection (:func:`_renamed`): a file at a new path is a recorded file, renamed, if no file is at the old path any
more and the fingerprints and birth times are equal. If a birth time is unknown, an event must name both paths.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select, update

from syncd.core.model import Fingerprint, FoundFile
from syncd.core.states import WAITS_FOR_WATCH, Cause, State
from syncd.store.file_rows import FIRST_VERSION, files_at, insert_files
from syncd.store.job_rows import as_parameter, batched, fingerprint_of, listed, load_all
from syncd.store.records import LARGE_FILE_BYTES
from syncd.store.schema import IS_PRESENT, files, folders, jobs, remotes
from syncd.store.transitions import NewJob, UnitOfWork, apply_transition, create_jobs

IsGone = Callable[[str, str], bool]
"""Returns True if no file is at this path of this folder; called in the writer's thread."""

NO_FINGERPRINT = Fingerprint(inode=0, size=0, mtime_ns=0)
"""The fingerprint of a file without content, such as a named pipe."""
FOLDER_REASSIGNED = "its folder no longer goes to this remote"
FILE_GONE = "removed before it was uploaded"

_WITH_INODE = select(files).where(files.c.inode.in_(listed("inodes")), ~files.c.removed)
_UPDATE_FILE = update(files).where(files.c.id == bindparam("file"))
_UPDATE_SIZE = update(jobs).where(jobs.c.file_id == bindparam("file"))
_FOLDER_ID = select(folders.c.id).where(folders.c.path == bindparam("folder"))
_NAMES = select(remotes.c.id, remotes.c.name)
_REVIVABLE = (Cause.UNFIT, Cause.GONE)
_OPEN = (State.QUEUED, State.WAITING, State.FAILED)


def diff(connection: Connection, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int]) -> list[FoundFile]:
    """Return the files in ``seen`` for which :func:`observe` would change anything."""
    return list(_diff(connection, folder, seen, frozenset(remote_ids)))


def _diff(
    connection: Connection, folder: str, seen: Sequence[FoundFile], wanted_remotes: frozenset[int]
) -> Iterator[FoundFile]:
    known = _known(connection, folder, seen)
    jobs_of = _jobs_of(connection, [row.id for row in known.values()])
    for file in seen:
        row = known.get(file.path)
        if (
            row is None
            or _is_new_version(row, file)
            or (file.closed and not row.closed)
            or wanted_remotes - {job.remote_id for job in jobs_of[row.id]}
            or any(_transition_for(job, file.unfit, wanted_remotes) for job in jobs_of[row.id])
        ):
            yield file


def observe(
    work: UnitOfWork, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int], *, is_gone: IsGone
) -> int:
    """Record settled files; return the number of jobs that were created or changed.

    Each file has one job for each remote. A new fingerprint or birth time queues it again, and so does a file that
    replaces one that was gone. A job that is uploading continues and is queued again at its end. A new path with the
    fingerprint of a gone file is that file, renamed, if the birth times or ``moved_from`` confirm it.
    """
    before = len(work.changes)
    each = list({file.path: file for file in seen}.values())
    if each:
        _update_jobs(work, folder, _store_files(work, folder, each, is_gone), frozenset(remote_ids))
    return len(work.changes) - before


class _StoredFile(NamedTuple):
    """A found file with its row's id and version. A new file has no jobs yet."""

    found: FoundFile
    id: int
    version: int
    is_new: bool = False


def _store_files(work: UnitOfWork, folder: str, seen: list[FoundFile], is_gone: IsGone) -> list[_StoredFile]:
    """Update or insert the rows of the files."""
    known = _known(work.connection, folder, seen)
    known |= _renamed(work.connection, folder, [file for file in seen if file.path not in known], is_gone)
    stored: list[_StoredFile] = []
    changed, new, resized = [], [], []
    for file in seen:
        if (row := known.get(file.path)) is None:
            new.append(file)
            continue
        fingerprint = _fingerprint(file)
        is_new = row.path == file.path and row.folder == folder and _is_new_version(row, file)
        version = row.version + is_new
        stored.append(_StoredFile(file, row.id, version))
        kept = _first_seen(file, work.now) if is_new else _seen_before(row, file)
        changed.append({"file": row.id, "version": version, **_columns(folder, file), **kept})
        if fingerprint.size != row.size:
            resized.append({"file": row.id, "size": fingerprint.size, "large": fingerprint.size >= LARGE_FILE_BYTES})
    for statement, rows in (_UPDATE_FILE, changed), (_UPDATE_SIZE, resized):
        if rows:
            work.connection.execute(statement, rows)
    ids = insert_files(work.connection, folder, [(file, _fingerprint(file)) for file in new], seen_at=work.now)
    stored += [_StoredFile(file, file_id, FIRST_VERSION, is_new=True) for file, file_id in zip(new, ids, strict=True)]
    return stored


def _is_new_version(row: Row[Any], file: FoundFile) -> bool:
    """Return True if the file at the path of ``row`` may have changed or been replaced."""
    return not row.present or fingerprint_of(row) != _fingerprint(file) or _has_other_birth_time(row, file)


def _has_other_birth_time(row: Row[Any], file: FoundFile) -> bool:
    return row.birth_ns != file.birth_ns and None not in (row.birth_ns, file.birth_ns)


def _renamed(connection: Connection, folder: str, seen: list[FoundFile], is_gone: IsGone) -> dict[str, Row[Any]]:
    """Find renamed files: those recorded at a path where no file is any more."""
    inodes = [str(file.fingerprint.inode) for file in seen if file.fingerprint is not None]
    candidates: dict[Fingerprint, list[Row[Any]]] = {}
    for row in connection.execute(_WITH_INODE, {"inodes": as_parameter(inodes)}) if inodes else ():
        candidates.setdefault(fingerprint_of(row), []).append(row)
    found: dict[str, Row[Any]] = {}
    if not candidates:
        return found
    for file in seen:
        rows = candidates.get(_fingerprint(file), [])
        same = [row for row in rows if file.fingerprint is not None and _is_same_file(row, folder, file)]
        if moved := next((row for row in same if is_gone(row.folder, row.path)), None):
            rows.remove(moved)
            found[file.path] = moved
    return found


def _is_same_file(row: Row[Any], folder: str, file: FoundFile) -> bool:
    """Return True if ``file``, which has the fingerprint of ``row``, is the same file.

    The fingerprint alone does not prove that, because the file system may have reused the inode.
    """
    if row.birth_ns is None or file.birth_ns is None:
        return (row.folder, row.path) == (folder, file.moved_from)
    return bool(row.birth_ns == file.birth_ns)


def _update_jobs(work: UnitOfWork, folder: str, stored: list[_StoredFile], wanted_remotes: frozenset[int]) -> None:
    """Create or update the jobs of the found files."""
    jobs_of = _jobs_of(work.connection, [file.id for file in stored if not file.is_new])
    names = {row.id: row.name for row in work.connection.execute(_NAMES)}
    effects = defaultdict(list)
    for file in stored:
        for job in jobs_of[file.id]:
            if effect := _transition_for(job, file.found.unfit, wanted_remotes):
                effects[*effect, file.found.backlog].append(job)
    for (cause, detail, backlog), affected in effects.items():
        apply_transition(work, cause, affected, detail=detail, failures=0, due_at=work.now, backlog=backlog)
    folder_id = work.connection.execute(_FOLDER_ID, {"folder": folder}).scalar_one()
    create_jobs(
        work,
        [
            NewJob(
                file_id=file.id,
                remote_id=remote_id,
                folder=folder,
                path=file.found.path,
                remote=names[remote_id],
                size=_fingerprint(file.found).size,
                version=file.version,
                folder_id=folder_id,
                unfit=file.found.unfit,
                backlog=file.found.backlog,
            )
            for file in stored
            for remote_id in sorted(wanted_remotes - {job.remote_id for job in jobs_of[file.id]})
        ],
    )


def _transition_for(
    job: Row[Any], unfit: str | None, wanted_remotes: frozenset[int]
) -> tuple[Cause, str | None] | None:
    """Return cause and detail of the transition that a found file triggers.

    Return None if the job keeps its state.

    An uploading job keeps its state: the end of the upload detects that the file has another version.
    """
    if job.state is State.UPLOADING:
        return None
    if job.remote_id not in wanted_remotes:
        return (Cause.GONE, FOLDER_REASSIGNED) if job.state in _OPEN else None
    if unfit is None and job.state is State.WAITING and job.detail in WAITS_FOR_WATCH:
        return Cause.CHANGED, None  # a reported file is present, and not open for writing
    changed = job.version != job.file_version
    was_skipped = job.state is State.SKIPPED and job.cause in _REVIVABLE
    if unfit is None:
        return (Cause.CHANGED, None) if changed or was_skipped else None
    known = job.cause is Cause.UNFIT and job.detail == unfit
    return (Cause.UNFIT, unfit) if changed or job.state in _OPEN or (was_skipped and not known) else None


def mark_files_gone(work: UnitOfWork, folder: str, paths: Iterable[str], *, removed: bool = False) -> int:
    """Record that the files at ``paths`` are gone; return the number of ended jobs.

    Finished jobs stay finished, and running uploads detect the loss themselves. ``removed`` says that the daemon itself
    has deleted or moved the files, so a file found elsewhere is never one of them, renamed.
    """
    before = len(work.changes)
    for batch in batched(paths):
        if rows := files_at(work.connection, folder, batch):
            set_files_gone(work, [row.id for row in rows], removed=removed)
            open_jobs = load_all(work.connection, jobs.c.file_id, [row.id for row in rows])
            apply_transition(work, Cause.GONE, [job for job in open_jobs if job.state in _OPEN], detail=FILE_GONE)
    return len(work.changes) - before


def requeue_altered(work: UnitOfWork, folder: str, paths: Iterable[str]) -> None:
    """Queue new versions of files that have changed behind an equal fingerprint."""
    for batch in batched(paths):
        if rows := files_at(work.connection, folder, batch):
            work.connection.execute(_UPDATE_FILE, [{"file": row.id, "version": row.version + 1} for row in rows])
            of_files = load_all(work.connection, jobs.c.file_id, [row.id for row in rows])
            done = [job for job in of_files if job.state is State.DONE]
            apply_transition(work, Cause.CHANGED, done, failures=0, due_at=work.now)


def set_files_gone(work: UnitOfWork, file_ids: Iterable[int], *, removed: bool = False) -> None:
    """Mark files as gone; ``removed`` says that the daemon itself has removed them."""
    values = {"present": False, "removed": True} if removed else {"present": False}
    work.connection.execute(_UPDATE_FILE, [{"file": file_id, **values} for file_id in file_ids])


def paths(connection: Connection, folder: str, *, after: str | None = None, limit: int = 1000) -> list[str]:
    """Return up to ``limit`` paths of present files, following ``after``.

    The paths are sorted by their bytes.
    """
    statement = select(files.c.path).where(files.c.folder == folder, IS_PRESENT)
    if after is not None:
        statement = statement.where(files.c.path > after)
    return list(connection.execute(statement.order_by(files.c.path).limit(limit)).scalars())


def _known(connection: Connection, folder: str, seen: Sequence[FoundFile]) -> dict[str, Row[Any]]:
    return {row.path: row for row in files_at(connection, folder, [file.path for file in seen])}


def _jobs_of(connection: Connection, file_ids: Iterable[int]) -> defaultdict[int, list[Row[Any]]]:
    found = defaultdict(list)
    for row in load_all(connection, jobs.c.file_id, file_ids):
        found[row.file_id].append(row)
    return found


def _fingerprint(seen: FoundFile) -> Fingerprint:
    return seen.fingerprint or NO_FINGERPRINT


def _columns(folder: str, seen: FoundFile) -> dict[str, object]:
    fingerprint = _fingerprint(seen)
    return {
        "folder": folder,
        "path": seen.path,
        "inode": fingerprint.inode,
        "size": fingerprint.size,
        "mtime_ns": fingerprint.mtime_ns,
        "present": True,
        "removed": False,
    }


def _first_seen(file: FoundFile, now: float) -> dict[str, object]:
    return {"birth_ns": file.birth_ns, "closed": file.closed, "seen_at": now}


def _seen_before(row: Row[Any], file: FoundFile) -> dict[str, object]:
    birth_ns = row.birth_ns if file.birth_ns is None else file.birth_ns
    return {"birth_ns": birth_ns, "closed": row.closed or file.closed, "seen_at": row.seen_at}
