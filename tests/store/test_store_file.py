"""The store's file is deleted or replaced while open: lost writes are never confirmed."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

from syncd.store import database as module
from syncd.store.database import Database
from syncd.store.errors import StoreClosedError, StoreUnavailableError
from tests.store.test_database import Reports, insert, keys
from tests.support.wait import wait_until

pytestmark = pytest.mark.unix


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state" / "syncd.db")


@pytest.fixture
async def database(path, reports, empty_store, monkeypatch):
    monkeypatch.setattr(module, "FILE_CHECK_INTERVAL_SECONDS", 0.02)
    shutil.copy(empty_store, path)
    database = await Database.open(path, on_blocked=reports, retry_delay=0.02)
    await database.write(insert("first"))
    assert await database.read(keys) == {"first"}
    yield database
    await database.close()


def stored(path):
    """Return what another program reads from the file and its log."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM settings")}


def in_the_file_alone(path, tmp_path):
    return stored(shutil.copy(path, tmp_path / "alone.db"))


def move(path, to):
    """Move the file and its log."""
    for suffix in ("", "-wal", "-shm"):
        os.rename(f"{path}{suffix}", f"{to}{suffix}")


def kinds(reports):
    return [None if message is None else "deleted or replaced" in message for message in reports]


async def test_write_waits_until_deleted_file_is_back(database, path, reports, tmp_path):
    os.link(path, tmp_path / "aside")
    os.unlink(path)
    write = asyncio.create_task(database.write(insert("second")))
    await wait_until(lambda: reports)
    assert reports[0].startswith(f"{path}: the job store was deleted or replaced while syncd runs")
    assert "\n" not in reports[0]
    assert database.blocked == reports[0]
    assert database.alive
    assert await database.read(keys) == {"first"}
    assert not write.done()
    os.link(tmp_path / "aside", path)
    await write
    assert stored(path) == {"first", "second"}
    assert kinds(reports) == [True, None]
    assert database.blocked is None


async def test_idle_writer_detects_deleted_file(database, path, reports, tmp_path):
    move(path, tmp_path / "aside")
    await wait_until(lambda: reports)
    move(tmp_path / "aside", path)
    await wait_until(lambda: len(reports) == 2)
    assert kinds(reports) == [True, None]
    await database.write(insert("second"))
    assert stored(path) == {"first", "second"}


async def test_write_waits_until_moved_folder_is_back(database, path, reports, tmp_path):
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    await wait_until(lambda: reports)
    (tmp_path / "elsewhere").rename(tmp_path / "state")
    await database.write(insert("second"))
    assert stored(path) == {"first", "second"}


async def test_unreadable_folder_does_not_block(database, reports, monkeypatch):
    def denied(_path):
        raise PermissionError

    monkeypatch.setattr("syncd.store.store_file.os.stat", denied)
    await database.write(insert("second"))
    assert not reports


def during_transaction(key, change):
    """Return work that changes the file in the transaction, after the last check of its path."""
    done = []

    def work(connection):
        result = insert(key)(connection)
        if not done:
            done.append(True)
            change()
        return result

    return work


async def test_commit_to_deleted_file_is_not_answered(database, path, reports, tmp_path):
    answered = []
    write = asyncio.create_task(
        database.write(during_transaction("second", lambda: move(path, tmp_path / "aside")), answered.append)
    )
    await wait_until(lambda: reports)
    assert not write.done()
    assert not answered
    move(tmp_path / "aside", path)
    assert await write == "second"
    assert answered == ["second"]
    assert stored(path) == {"first", "second"}


async def test_close_fails_commit_to_deleted_file(database, path, reports, tmp_path):
    write = asyncio.create_task(database.write(during_transaction("second", lambda: move(path, tmp_path / "aside"))))
    await wait_until(lambda: reports)
    after = asyncio.create_task(database.write(insert("third")))
    await asyncio.sleep(0)
    await database.close()
    for task in (write, after):
        with pytest.raises(StoreClosedError):
            await task


async def test_moved_file_is_complete_without_its_log(database, path, reports, tmp_path):
    await database.write(insert("second"))
    assert in_the_file_alone(path, tmp_path) == set()
    os.rename(path, tmp_path / "aside")
    await wait_until(lambda: reports)
    await wait_until(lambda: in_the_file_alone(tmp_path / "aside", tmp_path) == {"first", "second"})


async def test_commit_to_deleted_log_goes_into_file(database, path, reports, tmp_path):
    assert await database.write(during_transaction("second", lambda: os.unlink(f"{path}-wal"))) == "second"
    assert in_the_file_alone(path, tmp_path) == {"first", "second"}
    write = asyncio.create_task(database.write(insert("third")))
    await wait_until(lambda: reports)
    assert reports[0].startswith(f"{path}-wal: the log of the job store was deleted or replaced while syncd runs")
    await database.close()
    with pytest.raises(StoreClosedError):
        await write
    again = await Database.open(path)
    assert await again.read(keys) == {"first", "second"}
    await again.close()


async def test_replacement_file_is_not_written(database, path, reports, tmp_path, empty_store):
    """Its log is not written either, not even at shutdown."""
    move(path, tmp_path / "aside")
    shutil.copy(empty_store, path)
    theirs = sqlite3.connect(path, isolation_level=None)
    theirs.execute("PRAGMA journal_mode = WAL")
    theirs.execute("INSERT INTO settings VALUES ('theirs', 'x')")
    before = {entry.name: entry.read_bytes() for entry in (tmp_path / "state").iterdir()}
    assert len(before) == 3
    write = asyncio.create_task(database.write(insert("second")))
    await wait_until(lambda: reports)
    await database.close()
    with pytest.raises(StoreClosedError):
        await write
    assert {entry.name: entry.read_bytes() for entry in (tmp_path / "state").iterdir()} == before
    theirs.close()
    assert stored(path) == {"theirs"}
    assert in_the_file_alone(tmp_path / "aside", tmp_path) == {"first"}


async def test_replacement_file_is_not_read(path, empty_store, tmp_path):
    shutil.copy(empty_store, path)
    database = await Database.open(path)
    move(path, tmp_path / "aside")
    shutil.copy(empty_store, path)
    with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
        await database.read(keys)
    os.unlink(path)
    move(tmp_path / "aside", path)
    assert await database.read(keys) == set()
    await database.close()


NOWHERE = """
    import asyncio, os, sys
    from sqlalchemy import text
    from syncd.store.database import Database

    def much(connection):
        for number in range(3000):
            row = {"key": str(number), "value": "x" * 500}
            connection.execute(text("INSERT INTO settings VALUES (:key, :value)"), row)
        connection.execute(text("UPDATE OR ABORT settings SET value = value || 'y'"))

    def say(blocked):
        if blocked:
            print(blocked, flush=True)
            os._exit(1)

    async def main():
        database = await Database.open(sys.argv[1], on_blocked=say)
        await database.write(much)
        await database.close()

    for folder in "/tmp", "/var/tmp", "/usr/tmp", ".":
        assert not os.access(folder, os.W_OK), folder
    asyncio.run(main())
"""


READ_ONLY = """
    mount --bind "$1" "$1"
    for folder in $(awk '$2 !~ "^/(proc|sys|dev)" {print $2}' /proc/self/mounts | sort -u); do
        [ "$folder" = "$1" ] || mount -o remount,bind,ro "$folder" 2>/dev/null
    done
    cd / && exec "$2" -c "$3" "$1/syncd.db"
"""


@pytest.mark.e2e
def test_open_without_temporary_directory(tmp_path, empty_store):
    """This is the case in a container with ``--read-only``."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount")
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(empty_store, state / "syncd.db")
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"]
    environment = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "SQLITE_TMPDIR")}
    ended = subprocess.run(
        [*shell, state, sys.executable, textwrap.dedent(NOWHERE)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
