"""What the sight of a file, or of its absence, does to the store."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from syncd.core.model import Fingerprint, FoundFile
from syncd.core.states import IN_USE, Cause, State
from syncd.store.records import LARGE_FILE_BYTES
from syncd.store.schema import files, folders, jobs, remotes
from syncd.store.transitions import NewJob, UnitOfWork, apply_transition, batched, create_jobs, fingerprint_of, load_all

IsGone = Callable[[str, str], bool]
"""Says of a folder and a path in it whether there is nothing there; called in the writer's thread."""

NO_FINGERPRINT = Fingerprint(inode=0, size=0, mtime_ns=0)
"""Kept for a file that has no content to tell apart, as a named pipe."""
FOLDER_REASSIGNED = "its folder no longer goes to this remote"
FILE_GONE = "removed before it was uploaded"

_AT = select(files).where(files.c.folder == bindparam("folder"), files.c.path.in_(bindparam("paths", expanding=True)))
_WITH_INODE = select(files).where(files.c.inode.in_(bindparam("inodes", expanding=True)), ~files.c.removed)
_NEW = insert(files).returning(files.c.id, files.c.path, files.c.version)
_PLACE = update(files).where(files.c.id == bindparam("file"))
_RESIZE = update(jobs).where(jobs.c.file_id == bindparam("file"))
_FOLDER_ID = select(folders.c.id).where(folders.c.path == bindparam("folder"))
_NAMES = select(remotes.c.id, remotes.c.name)
_REVIVABLE = (Cause.UNFIT, Cause.GONE)
_OPEN = (State.QUEUED, State.WAITING, State.FAILED)


def diff(connection: Connection, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int]) -> list[FoundFile]:
    """Return those of ``seen`` that :func:`observe` would do something about."""
    return [one for part in batched(seen) for one in _diff(connection, folder, part, frozenset(remote_ids))]


def _diff(connection: Connection, folder: str, seen: list[FoundFile], wanted: frozenset[int]) -> Iterator[FoundFile]:
    known = _known(connection, folder, seen)
    jobs_of = _jobs_of(connection, [row.id for row in known.values()])
    for one in seen:
        row = known.get(one.path)
        if (
            row is None
            or _is_new(row, one)
            or (one.closed and not row.closed)
            or wanted - {job.remote_id for job in jobs_of[row.id]}
            or any(_effect(job, one.unfit, wanted) for job in jobs_of[row.id])
        ):
            yield one


def observe(
    work: UnitOfWork, folder: str, seen: Sequence[FoundFile], remote_ids: Sequence[int], is_gone: IsGone
) -> int:
    """Take note of quiet files; return how many jobs changed or were made."""
    before = len(work.changes)
    for part in batched({one.path: one for one in seen}.values()):
        placed = _place(work, folder, part, is_gone)
        _apply(work, folder, [(one, *placed[one.path]) for one in part], frozenset(remote_ids))
    return len(work.changes) - before


def _place(work: UnitOfWork, folder: str, seen: list[FoundFile], is_gone: IsGone) -> dict[str, tuple[int, int]]:
    """Bring the files' rows up to what was seen; return their ids and versions by path."""
    known = _known(work.connection, folder, seen)
    known |= _moved(work.connection, folder, [one for one in seen if one.path not in known], is_gone)
    placed = {}
    changed, new, resized = [], [], []
    for one in seen:
        if (row := known.get(one.path)) is None:
            new.append({"version": 1, **_columns(folder, one), **_first_seen(one, work.now)})
            continue
        fingerprint = _stamp(one)
        is_new = row.path == one.path and row.folder == folder and _is_new(row, one)
        version = row.version + is_new
        placed[one.path] = row.id, version
        kept = _first_seen(one, work.now) if is_new else _seen_before(row, one)
        changed.append({"file": row.id, "version": version, **_columns(folder, one), **kept})
        if fingerprint.size != row.size:
            resized.append({"file": row.id, "size": fingerprint.size, "large": fingerprint.size >= LARGE_FILE_BYTES})
    for statement, rows in (_PLACE, changed), (_RESIZE, resized):
        if rows:
            work.connection.execute(statement, rows)
    if new:
        placed |= {row.path: (row.id, row.version) for row in work.connection.execute(_NEW, new)}
    return placed


def _is_new(row: Row[Any], one: FoundFile) -> bool:
    """Say whether what is at the path of ``row`` may be another file, or have other content, than what was there."""
    return not row.present or fingerprint_of(row) != _stamp(one) or _was_born_apart(row, one)


def _was_born_apart(row: Row[Any], one: FoundFile) -> bool:
    return row.birth_ns != one.birth_ns and None not in (row.birth_ns, one.birth_ns)


def _moved(connection: Connection, folder: str, seen: list[FoundFile], is_gone: IsGone) -> dict[str, Row[Any]]:
    """Find files that were renamed: those known under a path where there is nothing any more."""
    inodes = {one.fingerprint.inode for one in seen if one.fingerprint is not None}
    candidates: dict[Fingerprint, list[Row[Any]]] = {}
    for row in connection.execute(_WITH_INODE, {"inodes": inodes}) if inodes else ():
        candidates.setdefault(fingerprint_of(row), []).append(row)
    found = {}
    for one in seen:
        rows = candidates.get(_stamp(one), [])
        same = [row for row in rows if one.fingerprint is not None and _is_same(row, folder, one)]
        if moved := next((row for row in same if is_gone(row.folder, row.path)), None):
            rows.remove(moved)
            found[one.path] = moved
    return found


def _is_same(row: Row[Any], folder: str, one: FoundFile) -> bool:
    """Say whether ``one`` is the file of ``row``, whose stamp it has: its inode alone may have been given out again."""
    if row.birth_ns is None or one.birth_ns is None:
        return (row.folder, row.path) == (folder, one.moved_from)
    return bool(row.birth_ns == one.birth_ns)


def _apply(work: UnitOfWork, folder: str, placed: list[tuple[FoundFile, int, int]], wanted: frozenset[int]) -> None:
    """Make or move the jobs of the files that were seen; with each file go its id and its version."""
    jobs_of = _jobs_of(work.connection, [file_id for _, file_id, _ in placed])
    names = {row.id: row.name for row in work.connection.execute(_NAMES)}
    effects = defaultdict(list)
    for one, file_id, _ in placed:
        for job in jobs_of[file_id]:
            if effect := _effect(job, one.unfit, wanted):
                effects[effect].append(job)
    for (cause, detail), affected in effects.items():
        apply_transition(work, cause, affected, detail=detail, failures=0, due_at=work.now)
    folder_id = work.connection.execute(_FOLDER_ID, {"folder": folder}).scalar_one()
    create_jobs(
        work,
        [
            NewJob(
                file_id=file_id,
                remote_id=remote_id,
                folder=folder,
                path=one.path,
                remote=names[remote_id],
                size=_stamp(one).size,
                version=version,
                folder_id=folder_id,
                unfit=one.unfit,
            )
            for one, file_id, version in placed
            for remote_id in sorted(wanted - {job.remote_id for job in jobs_of[file_id]})
        ],
    )


def _effect(job: Row[Any], unfit: str | None, wanted: frozenset[int]) -> tuple[Cause, str | None] | None:
    """Return the cause and the detail of the step that ``job`` takes when its file is seen, if any.

    A job that is uploading takes none: the end of the upload notices that the file has another version.
    """
    if job.state is State.UPLOADING:
        return None
    if job.remote_id not in wanted:
        return (Cause.GONE, FOLDER_REASSIGNED) if job.state in _OPEN else None
    if unfit is None and job.state is State.WAITING and job.detail == IN_USE:
        return Cause.CHANGED, None  # what is seen is not open for writing any more
    changed = job.version != job.file_version
    left_out = job.state is State.SKIPPED and job.cause in _REVIVABLE
    if unfit is None:
        return (Cause.CHANGED, None) if changed or left_out else None
    known = job.cause is Cause.UNFIT and job.detail == unfit
    return (Cause.UNFIT, unfit) if changed or job.state in _OPEN or (left_out and not known) else None


def gone(work: UnitOfWork, folder: str, paths: Iterable[str], *, removed: bool = False) -> int:
    """Take note that there is nothing at ``paths`` any more; return how many jobs that ended.

    ``removed`` says that the daemon itself has deleted or moved the files, so that none of them was renamed.
    """
    before = len(work.changes)
    for part in batched(paths):
        rows = work.connection.execute(_AT, {"folder": folder, "paths": part}).all()
        if rows:
            set_files_gone(work, [row.id for row in rows], removed=removed)
            open_jobs = load_all(work.connection, jobs.c.file_id, [row.id for row in rows])
            apply_transition(work, Cause.GONE, [job for job in open_jobs if job.state in _OPEN], detail=FILE_GONE)
    return len(work.changes) - before


def alter(work: UnitOfWork, folder: str, paths: Iterable[str]) -> None:
    """Give files a new version whose content has changed behind an equal stamp, and queue them for every remote."""
    for part in batched(paths):
        rows = work.connection.execute(_AT, {"folder": folder, "paths": part}).all()
        if rows:
            work.connection.execute(_PLACE, [{"file": row.id, "version": row.version + 1} for row in rows])
            of_files = load_all(work.connection, jobs.c.file_id, [row.id for row in rows])
            done = [job for job in of_files if job.state is State.DONE]
            apply_transition(work, Cause.CHANGED, done, failures=0, due_at=work.now)


def set_files_gone(work: UnitOfWork, file_ids: Iterable[int], *, removed: bool = False) -> None:
    """Take note that files are not where they were; ``removed`` says that the daemon itself has removed them."""
    told = {"present": False, "removed": True} if removed else {"present": False}
    work.connection.execute(_PLACE, [{"file": file_id, **told} for file_id in file_ids])


def paths(connection: Connection, folder: str, after: str | None, limit: int) -> list[str]:
    """Return paths of present files in the order of their bytes, following ``after``."""
    statement = select(files.c.path).where(files.c.folder == folder, files.c.present)
    if after is not None:
        statement = statement.where(files.c.path > after)
    return list(connection.execute(statement.order_by(files.c.path).limit(limit)).scalars())


def _known(connection: Connection, folder: str, seen: list[FoundFile]) -> dict[str, Row[Any]]:
    rows = connection.execute(_AT, {"folder": folder, "paths": [one.path for one in seen]})
    return {row.path: row for row in rows}


def _jobs_of(connection: Connection, file_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {file_id: [] for file_id in file_ids}
    for row in load_all(connection, jobs.c.file_id, found):
        found[row.file_id].append(row)
    return found


def _stamp(seen: FoundFile) -> Fingerprint:
    return seen.fingerprint or NO_FINGERPRINT


def _columns(folder: str, seen: FoundFile) -> dict[str, object]:
    fingerprint = _stamp(seen)
    return {
        "folder": folder,
        "path": seen.path,
        "inode": fingerprint.inode,
        "size": fingerprint.size,
        "mtime_ns": fingerprint.mtime_ns,
        "present": True,
        "removed": False,
    }


def _first_seen(one: FoundFile, now: float) -> dict[str, object]:
    return {"birth_ns": one.birth_ns, "closed": one.closed, "seen_at": now}


def _seen_before(row: Row[Any], one: FoundFile) -> dict[str, object]:
    birth_ns = row.birth_ns if one.birth_ns is None else one.birth_ns
    return {"birth_ns": birth_ns, "closed": row.closed or one.closed, "seen_at": row.seen_at}
