"""Uploads under way, and the contents that are known to be on a remote."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from syncd.core.chunks import ChunkSet
from syncd.core.model import Session
from syncd.store.moves import Work
from syncd.store.schema import chunks, contents, sessions

_OF = (sessions.c.remote_id == bindparam("remote"), sessions.c.key == bindparam("content"))
_SESSION = select(sessions).where(*_OF)
_DROP = delete(sessions).where(*_OF)
_DOUBT = update(sessions).where(*_OF).values(doubtful=True)
_CHUNKS = select(chunks.c.idx).where(chunks.c.session_id == bindparam("session"))
_ACKNOWLEDGE = (
    upsert(chunks)
    .from_select(
        ["session_id", "idx"],
        select(sessions.c.id, bindparam("index")).where(*_OF, sessions.c.token == bindparam("of_token")),
    )
    .on_conflict_do_nothing()
)
_STORED = upsert(contents)
_RECORD = _STORED.on_conflict_do_update(
    index_elements=[contents.c.remote_id, contents.c.key],
    set_={name: _STORED.excluded[name] for name in ("ref", "size", "stored_at")},
)
_THERE = (contents.c.remote_id == bindparam("remote"), contents.c.key == bindparam("content"))
_REF = select(contents.c.ref).where(*_THERE)
_FORGET = delete(contents).where(*_THERE)


def session(connection: Connection, remote_id: int, key: str) -> Session | None:
    """Return the upload of a content that is under way, with the chunks that were acknowledged."""
    row = connection.execute(_SESSION, _given(remote_id, key)).one_or_none()
    if row is None:
        return None
    return Session(
        token=row.token,
        chunk_size=row.chunk_size,
        count=row.chunk_count,
        received=ChunkSet(connection.execute(_CHUNKS, {"session": row.id}).scalars()),
        doubtful=row.doubtful,
    )


def save_session(work: Work, remote_id: int, key: str, session: Session) -> None:
    """Keep ``session`` in place of an earlier one of that content."""
    drop_session(work, remote_id, key)
    session_id = work.connection.execute(
        insert(sessions).returning(sessions.c.id),
        {
            "remote_id": remote_id,
            "key": key,
            "token": session.token,
            "chunk_size": session.chunk_size,
            "chunk_count": session.count,
            "doubtful": session.doubtful,
            "created_at": work.now,
        },
    ).scalar_one()
    if session.received:
        work.connection.execute(
            insert(chunks), [{"session_id": session_id, "idx": index} for index in session.received]
        )


def acknowledge(work: Work, remote_id: int, key: str, token: str, index: int) -> None:
    """Take note that a chunk has arrived, if the upload is still the one that ``token`` names."""
    work.connection.execute(_ACKNOWLEDGE, _given(remote_id, key) | {"index": index, "of_token": token})


def doubt(work: Work, remote_id: int, key: str) -> None:
    """Have the content compared with the server's at the end."""
    work.connection.execute(_DOUBT, _given(remote_id, key))


def drop_session(work: Work, remote_id: int, key: str) -> None:
    """Forget the upload."""
    work.connection.execute(_DROP, _given(remote_id, key))


def expire(work: Work, older_than: float) -> int:
    """Forget uploads that were begun before ``older_than``; return how many."""
    return work.connection.execute(delete(sessions).where(sessions.c.created_at < older_than)).rowcount


def record(work: Work, remote_id: int, key: str, ref: str, size: int) -> None:
    """Take note that the remote has the content; its upload is over."""
    work.connection.execute(
        _RECORD, {"remote_id": remote_id, "key": key, "ref": ref, "size": size, "stored_at": work.now}
    )
    drop_session(work, remote_id, key)


def content(connection: Connection, remote_id: int, key: str) -> str | None:
    """Return how to ask the remote for the content, if it is known to be there."""
    ref: str | None = connection.execute(_REF, _given(remote_id, key)).scalar()
    return ref


def forget(work: Work, remote_id: int, key: str) -> None:
    """Take note that the remote does not have the content after all."""
    work.connection.execute(_FORGET, _given(remote_id, key))


def _given(remote_id: int, key: str) -> dict[str, object]:
    return {"remote": remote_id, "content": key}
