"""The records that a remote takes over: from earlier versions and its former address."""

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from syncd.config import destinations
from syncd.config.remotes import ImageRemote, MultipartRemote
from syncd.core.model import FormerIdentity, Proof, Stored
from syncd.core.states import Outcome
from syncd.store import migrations
from syncd.store.copies import CopyIndex
from syncd.store.job_store import JobStore
from tests.store.support import claim, observe, seen
from tests.support.clock import ManualClock
from tests.support.records import stored_content

POOL = "00000000-0000-0000-0000-000000000001"
MULTIPART = {"type": "multipart", "url": "http://Drive:80", "pool_id": POOL}
EARLIER = f"multipart http://Drive:80/api/files/upload pool {POOL}"
OLD, NEW = "at the old address", "at the new address"
MOVED = (FormerIdentity(identity=OLD, url="http://old"),)


def earlier_store(path: str, *rows: tuple[str, str]) -> None:
    """Create a store of the version whose identities had neither account nor name."""
    config = Config()
    config.set_main_option("script_location", migrations.FOLDER)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        for number, (name, identity) in enumerate(rows, 1):
            store.execute("INSERT INTO remotes VALUES (?, ?, ?, '{\"refused\": 7}')", (number, name, identity))


async def recorded(store: JobStore, name: str, settings: object) -> int:
    record = await store.register_remote(
        name, destinations.identity(name, settings), destinations.former(name, settings)
    )
    return record.id


@pytest.mark.parametrize(
    ("settings", "earlier"),
    [
        (MultipartRemote(**MULTIPART), EARLIER),
        (MultipartRemote(**MULTIPART, bundle_id=POOL, account="anna"), f"{EARLIER} bundle {POOL}"),
        (ImageRemote(type="image", url="http://h/x"), "image http://h/x"),
        (ImageRemote(type="image", url="http://new", former_url="http://h/x"), "image http://h/x"),
    ],
)
async def test_record_of_earlier_version_is_taken_over_once(path, settings, earlier):
    earlier_store(path, ("drive", earlier))
    store = await JobStore.open(path, clock=ManualClock())
    assert await recorded(store, "other", settings.model_copy(update={"account": None})) == 2
    assert await recorded(store, "drive", settings) == 1
    assert await recorded(store, "drive", settings) == 1
    another = settings.model_copy(update={"account": "ben"})
    assert await recorded(store, "drive", another) == 3
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert earlier not in {identity for (identity,) in connection.execute("SELECT identity FROM remotes")}


async def test_shared_record_goes_to_account_with_its_name(path):
    """Earlier versions kept both accounts in one record, with the last name."""
    earlier_store(path, ("ben", EARLIER))
    settings = MultipartRemote(**MULTIPART)
    store = await JobStore.open(path, clock=ManualClock())
    assert [await recorded(store, name, settings) for name in ("anna", "ben")] == [2, 1]
    assert (await store.register_remote("ben", destinations.identity("ben", settings))).capabilities == {"refused": 7}
    await store.close()


async def test_former_address_keeps_records(store):
    old = await store.register_remote("drive", OLD)
    await observe(store, old.id, seen("a"))
    (job,) = await claim(store, old.id)
    await store.finish(job, key="k", stored=Stored(ref="r", proof=Proof.HASH), outcome=Outcome.UPLOADED)
    await store.save_capabilities(old.id, {"refused": 7})
    moved = await store.register_remote("drive", NEW, MOVED)
    assert (moved.id, moved.identity, moved.moved, moved.apart) == (old.id, NEW, MOVED[0], ())
    again = await store.register_remote("drive", NEW, MOVED)
    assert (again.id, again.moved, again.apart) == (old.id, None, ())
    assert (await store.register_remote("drive", OLD)).id != old.id


async def test_new_address_resets_proofs_and_capabilities(store):
    """The server at the new address may be another one."""
    before = await store.register_remote("before", "elsewhere")
    old = await store.register_remote("drive", OLD)
    after = await store.register_remote("after", "elsewhere too")
    for record in (before, old, after):
        await observe(store, record.id, seen("a"))
        (job,) = await claim(store, record.id)
        await store.finish(job, key="k", stored=Stored(ref="r", proof=Proof.HASH), outcome=Outcome.UPLOADED)
    await store.save_capabilities(old.id, {"refused": 7})
    assert (await store.register_remote("drive", NEW, MOVED)).capabilities == {}
    kept = await stored_content(store, old.id, "k")
    assert (kept.ref, kept.confirmed_at) == ("r", 0.0)
    for other in (before, after):
        assert (await stored_content(store, other.id, "k")).confirmed_at > 0


async def test_records_of_both_addresses_stay_apart(store):
    old, new = await store.register_remote("drive", OLD), await store.register_remote("drive", NEW)
    record = await store.register_remote("drive", NEW, MOVED)
    assert (record.id, record.moved, record.apart) == (new.id, None, MOVED)
    assert (await store.register_remote("drive", OLD)).id == old.id


async def test_first_recorded_former_address_is_taken_over(store):
    older = await store.register_remote("drive", "the oldest")
    old = await store.register_remote("drive", OLD)
    former = (*MOVED, FormerIdentity(identity="the oldest", url="http://oldest"))
    record = await store.register_remote("drive", NEW, former)
    assert (record.id, record.apart) == (old.id, former[1:])
    assert (await store.register_remote("drive", "the oldest")).id == older.id


async def test_copy_index_finds_former_records(store, path):
    old = await store.register_remote("drive", OLD)
    copies = await CopyIndex.open(path)
    assert await copies.remote_id(NEW) is None
    assert await copies.remote_id(NEW, MOVED) == old.id
    assert await copies.remote_id(NEW, (FormerIdentity(identity=OLD, name="another"),)) is None
    await copies.close()
