"""Reads and writes the rows of remotes and the settings of the daemon.

A remote is identified by its ``identity`` (address and account), so that its uploads are still known after a rename.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from syncd.core.model import FormerIdentity
from syncd.store.records import RemoteRecord
from syncd.store.schema import contents, remotes, sessions, settings
from syncd.store.transitions import UnitOfWork


def register_remote(work: UnitOfWork, name: str, identity: str, former: Sequence[FormerIdentity] = ()) -> RemoteRecord:
    """Return the record of the remote with this identity.

    Create it or update its name if necessary.

    If there is none, the first existing record among ``former`` becomes its record.
    """
    moved = None
    if _recorded(work.connection, FormerIdentity(identity=identity)) is None:
        moved = next((each for each in former if _take_over(work, each, identity)), None)
    apart = [each for each in former if each.url is not None and _recorded(work.connection, each) is not None]
    new = upsert(remotes).values(name=name, identity=identity, capabilities={})
    new = new.on_conflict_do_update(index_elements=[remotes.c.identity], set_={"name": new.excluded.name})
    row = work.connection.execute(new.returning(remotes)).one()
    return RemoteRecord(
        id=row.id, name=row.name, identity=row.identity, capabilities=row.capabilities, moved=moved, apart=tuple(apart)
    )


def find_remote(connection: Connection, identity: str, former: Sequence[FormerIdentity] = ()) -> int | None:
    """Return the id of the record that :func:`register_remote` would return.

    Return None if it would create one.
    """
    candidates = (FormerIdentity(identity=identity), *former)
    return next((found for each in candidates if (found := _recorded(connection, each)) is not None), None)


def recorded_apart(connection: Connection, identity: str, former: Sequence[FormerIdentity]) -> list[FormerIdentity]:
    """Return those of ``former`` that have another address and a separate record."""
    found = find_remote(connection, identity, former)
    return [each for each in former if each.url is not None and _recorded(connection, each) not in (None, found)]


def _recorded(connection: Connection, former: FormerIdentity) -> int | None:
    found = select(remotes.c.id).where(remotes.c.identity == former.identity)
    if former.name is not None:
        found = found.where(remotes.c.name == former.name)
    number: int | None = connection.execute(found).scalar()
    return number


def _take_over(work: UnitOfWork, former: FormerIdentity, identity: str) -> bool:
    """Give the record of ``former`` the new identity.

    Return False if there is no such record.

    If the address is another one, the server may be another one too: its capabilities are forgotten, and its earlier
    confirmations no longer count.
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
    """Make ``terms`` the storage terms of a remote.

    Drop the upload sessions that began under other terms.
    """
    key = f"terms of remote {remote_id}"
    if get_setting(work.connection, key) not in (None, terms):
        work.connection.execute(delete(sessions).where(sessions.c.remote_id == remote_id))
    set_setting(work, key, terms)


def save_capabilities(work: UnitOfWork, remote_id: int, capabilities: Mapping[str, int]) -> None:
    """Replace the known capabilities of a server."""
    work.connection.execute(update(remotes).where(remotes.c.id == remote_id), {"capabilities": dict(capabilities)})


def get_setting(connection: Connection, key: str) -> str | None:
    """Return the value of a setting, None if it was never set."""
    value: str | None = connection.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
    return value


def set_setting(work: UnitOfWork, key: str, value: str) -> None:
    """Set the value of a setting."""
    row = upsert(settings).values(key=key, value=value)
    work.connection.execute(row.on_conflict_do_update(index_elements=[settings.c.key], set_={"value": value}))
