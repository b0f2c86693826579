"""Reads and writes upload sessions and the contents that remotes have confirmed.

A session is an unfinished upload of one content to one remote; a content is recorded when its upload is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from syncd.core.chunks import ChunkSet
from syncd.core.model import Proof, Session
from syncd.store.records import StoredContent
from syncd.store.schema import chunks, contents, sessions
from syncd.store.transitions import UnitOfWork

_OF_SESSION = (sessions.c.remote_id == bindparam("remote"), sessions.c.key == bindparam("content"))
_DROP = delete(sessions).where(*_OF_SESSION)
_REQUIRE_VERIFICATION = update(sessions).where(*_OF_SESSION).values(needs_verification=True)
_CHUNKS = select(chunks.c.idx).where(chunks.c.session_id == bindparam("session"))
_ACKNOWLEDGE = (
    upsert(chunks)
    .from_select(
        ["session_id", "idx"],
        select(sessions.c.id, bindparam("index")).where(*_OF_SESSION, sessions.c.token == bindparam("of_token")),
    )
    .on_conflict_do_nothing()
)
_UPDATED_COLUMNS = ("ref", "size", "stored_at", "sha256", "proof", "confirmed_at", "terms", "expires")
_INSERT_CONTENT = upsert(contents)
_RECORD_CONTENT = _INSERT_CONTENT.on_conflict_do_update(
    index_elements=[contents.c.remote_id, contents.c.key],
    set_={name: _INSERT_CONTENT.excluded[name] for name in _UPDATED_COLUMNS},
)
_OF_CONTENT = (contents.c.remote_id == bindparam("remote"), contents.c.key == bindparam("content"))
_FORGET = delete(contents).where(*_OF_CONTENT)
_CONFIRM = update(contents).where(*_OF_CONTENT)


def read_session(connection: Connection, row: Row[Any]) -> Session:
    """Convert a row of the sessions, and read its chunks."""
    return Session(
        token=row.token,
        chunk_size=row.chunk_size,
        count=row.chunk_count,
        received=ChunkSet(connection.execute(_CHUNKS, {"session": row.id}).scalars()),
        needs_verification=row.needs_verification,
    )


def save_session(work: UnitOfWork, remote_id: int, key: str, session: Session) -> None:
    """Save ``session`` with its received chunks.

    It replaces an earlier session of the content.

    Single-request sessions are not saved: they can't be resumed.
    """
    drop_session(work, remote_id, key)
    session_id = work.connection.execute(
        insert(sessions).returning(sessions.c.id),
        {
            "remote_id": remote_id,
            "key": key,
            "token": session.token,
            "chunk_size": session.chunk_size,
            "chunk_count": session.count,
            "needs_verification": session.needs_verification,
            "created_at": work.now,
        },
    ).scalar_one()
    if session.received:
        work.connection.execute(
            insert(chunks), [{"session_id": session_id, "idx": index} for index in session.received]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledgement:
    """The server has chunk ``index`` of the session with this ``token``."""

    remote_id: int
    key: str
    token: str
    index: int


def acknowledge_all(connection: Connection, chunks_received: Sequence[Acknowledgement]) -> list[None]:
    """Record the chunks of those sessions that still have their token."""
    connection.execute(
        _ACKNOWLEDGE,
        [
            _parameters(chunk.remote_id, chunk.key) | {"index": chunk.index, "of_token": chunk.token}
            for chunk in chunks_received
        ],
    )
    return [None] * len(chunks_received)


def require_verification(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Mark the session: at its end, the server's copy is compared with the file."""
    work.connection.execute(_REQUIRE_VERIFICATION, _parameters(remote_id, key))


def drop_session(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Delete the session of a content."""
    work.connection.execute(_DROP, _parameters(remote_id, key))


def expire_sessions(work: UnitOfWork, older_than: float) -> int:
    """Delete the sessions that began before ``older_than``; return their number."""
    return work.connection.execute(delete(sessions).where(sessions.c.created_at < older_than)).rowcount


def record_contents(work: UnitOfWork, stored: Sequence[StoredContent]) -> None:
    """Record that the remotes have these contents, and delete their sessions."""
    if not stored:
        return
    work.connection.execute(_RECORD_CONTENT, [{**_columns(each), "stored_at": work.now} for each in stored])
    work.connection.execute(_DROP, [_parameters(each.remote_id, each.key) for each in stored])


def _columns(stored: StoredContent) -> dict[str, object]:
    return {name: getattr(stored, name) for name in StoredContent.__slots__}  # asdict() takes ten times as long


def stored_content(row: Row[Any]) -> StoredContent:
    """Convert a row of the contents."""
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


def confirm(work: UnitOfWork, remote_id: int, key: str, proof: Proof) -> None:
    """Record that the remote has confirmed the content again, and with which evidence."""
    work.connection.execute(_CONFIRM, _parameters(remote_id, key) | {"proof": proof, "confirmed_at": work.now})


def forget_content(work: UnitOfWork, remote_id: int, key: str) -> None:
    """Delete the record of a content that the remote does not have."""
    work.connection.execute(_FORGET, _parameters(remote_id, key))


def _parameters(remote_id: int, key: str) -> dict[str, object]:
    return {"remote": remote_id, "content": key}
