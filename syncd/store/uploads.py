"""Uploads under way, and the contents that are known to be on a remote."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from syncd.core.chunks import ChunkSet
from syncd.core.model import Proof, Session
from syncd.store.records import StoredContent
from syncd.store.schema import chunks, contents, remotes, sessions
from syncd.store.transitions import UnitOfWork

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
_TOLD = ("ref", "size", "stored_at", "sha256", "proof", "confirmed_at", "terms", "expires")
_STORED = upsert(contents)
_RECORD = _STORED.on_conflict_do_update(
    index_elements=[contents.c.remote_id, contents.c.key],
    set_={name: _STORED.excluded[name] for name in _TOLD},
)
_THERE = (contents.c.remote_id == bindparam("remote"), contents.c.key == bindparam("content"))
_CONTENT = select(contents).where(*_THERE)
_SAME_BYTES = select(contents).where(
    or_(
        contents.c.sha256 == bindparam("sha256"),
        # What an earlier version has uploaded by MD5 has no SHA-256; one look for each remote.
        and_(contents.c.remote_id.in_(select(remotes.c.id)), contents.c.key == bindparam("content")),
    )
)
_FORGET = delete(contents).where(*_THERE)
_CONFIRM = update(contents).where(*_THERE)


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
        needs_verification=row.doubtful,
    )


def save_session(work: UnitOfWork, remote_id: int, key: str, session: Session) -> None:
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
            "doubtful": session.needs_verification,
            "created_at": work.now,
        },
    ).scalar_one()
    if session.received:
        work.connection.execute(
            insert(chunks), [{"session_id": session_id, "idx": index} for index in session.received]
        )


def acknowledge(work: UnitOfWork, remote_id: int, key: str, token: str, index: int) -> None:
    """Take note that a chunk has arrived, if the upload is still the one that ``token`` names."""
    work.connection.execute(_ACKNOWLEDGE, _given(remote_id, key) | {"index": index, "of_token": token})


def require_verification(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Have the content compared with the server's at the end."""
    work.connection.execute(_DOUBT, _given(remote_id, key))


def drop_session(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Forget the upload."""
    work.connection.execute(_DROP, _given(remote_id, key))


def expire(work: UnitOfWork, older_than: float) -> int:
    """Forget uploads that were begun before ``older_than``; return how many."""
    return work.connection.execute(delete(sessions).where(sessions.c.created_at < older_than)).rowcount


def record(work: UnitOfWork, stored: StoredContent) -> None:
    """Take note that the remote has the content; its upload is over."""
    work.connection.execute(_RECORD, {**asdict(stored), "stored_at": work.now})
    drop_session(work, stored.remote_id, stored.key)


def content(connection: Connection, remote_id: int, key: str) -> StoredContent | None:
    """Return a content that the remote is known to have."""
    row = connection.execute(_CONTENT, _given(remote_id, key)).one_or_none()
    return None if row is None else stored_content(row)


def stored_content(row: Row[Any]) -> StoredContent:
    """Return what a row of the contents holds."""
    return StoredContent(
        remote_id=row.remote_id,
        key=row.key,
        ref=row.ref,
        size=row.size,
        sha256=row.sha256,
        proof=Proof(row.proof),
        confirmed_at=row.confirmed_at,
        terms=row.terms,
        expires=row.expires,
    )


def uploaded_before(connection: Connection, key: str, sha256: str | None) -> list[StoredContent]:
    """Return as what any remote has had a file of these bytes."""
    return [stored_content(row) for row in connection.execute(_SAME_BYTES, {"content": key, "sha256": sha256})]


def confirm(work: UnitOfWork, remote_id: int, key: str, proof: Proof) -> None:
    """Take note that the remote has just said again that it has the content."""
    work.connection.execute(_CONFIRM, _given(remote_id, key) | {"proof": proof, "confirmed_at": work.now})


def forget(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Take note that the remote does not have the content after all."""
    work.connection.execute(_FORGET, _given(remote_id, key))


def _given(remote_id: int, key: str) -> dict[str, object]:
    return {"remote": remote_id, "content": key}
