import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing

import pytest

from syncd.store import migrations, startup
from syncd.store.errors import StoreDamagedError, StoreTooNewError, StoreUnavailableError
from syncd.store.job_store import JobStore
from tests.store.support import FOLDER, contents, create, observe, overwrite, run, seen, size
from tests.support.clock import ManualClock


async def _make(path: str, files: int = 2000) -> None:
    store = await JobStore.open(path, clock=ManualClock())
    remote = await store.register_remote("drive", "drive")
    await observe(store, remote.id, *(seen(f"{number}.jpg") for number in range(files)))
    await store.close()


async def _refused(path: str, error: type[Exception]) -> str:
    """Assert that opening fails; return the message."""
    before = None if error is StoreUnavailableError else contents(path)
    files_before = set(os.listdir(os.path.dirname(path)))
    with pytest.raises(error) as caught:
        await JobStore.open(path, clock=ManualClock())
    if before is not None:
        assert contents(path) == before
    assert set(os.listdir(os.path.dirname(path))) - {"syncd.db-shm"} == files_before
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message
    return message


def _mode(path: object) -> int:
    return stat.S_IMODE(os.stat(str(path)).st_mode)


@pytest.mark.unix
async def test_new_store_is_private(tmp_path):
    before = os.umask(0)
    try:
        path = tmp_path / "state" / "syncd.db"
        store = await JobStore.open(str(path), clock=ManualClock())
        await store.set_setting("a", "b")
        assert {name: _mode(path.parent / name) for name in os.listdir(path.parent)} == {
            "syncd.db": 0o600,
            "syncd.db-wal": 0o600,
            "syncd.db-shm": 0o600,
        }
        assert _mode(path.parent) == 0o700
        await store.close()
    finally:
        os.umask(before)


@pytest.mark.unix
async def test_open_path_with_uri_characters(tmp_path):
    path = tmp_path / "50% ?mode=ro&#" / "sync\udcffd.db"
    store = await JobStore.open(str(path), clock=ManualClock())
    await store.set_setting("a", "b")
    await store.close()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.e2e
async def test_reopen_does_not_import_alembic(path):
    await _make(path, 1)
    script = f"""
        import asyncio, sys
        from syncd.store.job_store import JobStore

        async def main():
            store = await JobStore.open({path!r}, clock=lambda: 0.0)
            print(await store.files_count({FOLDER!r}), "alembic" in sys.modules)
            await store.close()

        asyncio.run(main())
    """
    assert run(script) == "1 False\n"


async def test_open_other_file_raises_damaged(path):
    create(path, b"\x89PNG\r\n\x1a\n" + bytes(5000))
    assert "not a database" in await _refused(path, StoreDamagedError)


async def test_open_truncated_file_raises_damaged(path):
    await _make(path)
    os.truncate(path, size(path) // 2)
    assert "move it away" in await _refused(path, StoreDamagedError)


async def test_open_file_with_bad_page_raises_damaged(path):
    await _make(path)
    overwrite(path, 4096 * 5, os.urandom(4096))
    await _refused(path, StoreDamagedError)


async def test_open_file_with_bad_schema_page_raises_damaged(path):
    await _make(path)
    overwrite(path, 100, bytes(4000))
    await _refused(path, StoreDamagedError)


async def test_open_later_file_format_raises_damaged(path):
    await _make(path, 1)
    overwrite(path, 44, (9).to_bytes(4, "big"))  # the schema's format number
    await _refused(path, StoreDamagedError)


async def test_open_large_file_does_not_check_all_pages(path, monkeypatch):
    await _make(path)
    monkeypatch.setattr(startup, "FULL_CHECK_MAX_BYTES", size(path) - 1)
    overwrite(path, 4096 * 20, os.urandom(4096))
    store = await JobStore.open(path, clock=ManualClock())
    await store.close()
    create(f"{path}-wal", b"")  # as after a crash
    store = await JobStore.open(path, clock=ManualClock())
    await store.close()
    monkeypatch.setattr(startup, "FULL_CHECK_MAX_BYTES", size(path))
    create(f"{path}-wal", b"")
    await _refused(path, StoreDamagedError)


async def test_open_other_database_raises_damaged(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    assert "another program" in await _refused(path, StoreDamagedError)


async def test_open_later_version_raises_too_new(path):
    await _make(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    message = await _refused(path, StoreTooNewError)
    assert "9999" in message
    assert "update syncd" in message


async def test_open_later_version_after_kill_raises_too_new(path):
    await _make(path, 1)
    copy = f"{path}.crashed"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    log = contents(f"{copy}-wal")
    assert b"9999" not in contents(copy)
    with pytest.raises(StoreTooNewError):
        await JobStore.open(copy, clock=ManualClock())
    assert b"9999" not in contents(copy)
    assert contents(f"{copy}-wal") == log


async def test_open_without_version_raises_damaged(path):
    await _make(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
    await _refused(path, StoreDamagedError)


async def test_open_directory_raises_unavailable(path):
    os.mkdir(path)
    await _refused(path, StoreUnavailableError)


async def test_open_device_raises_unavailable():
    with pytest.raises(StoreUnavailableError, match="regular file"):
        await JobStore.open("/dev/null", clock=ManualClock())


async def test_open_below_file_raises_unavailable(tmp_path):
    (tmp_path / "state").touch()
    with pytest.raises(StoreUnavailableError):
        await JobStore.open(str(tmp_path / "state" / "syncd.db"), clock=ManualClock())


@pytest.mark.unix
@pytest.mark.parametrize("mode", [0o000, 0o400])
async def test_open_without_permission_raises_unavailable(mode):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "syncd.db")
        await _make(path, 1)
        os.chmod(path, mode)
        if os.geteuid() == 0:  # root ignores permissions
            os.chmod(folder, 0o777)
            os.seteuid(65534)
        try:
            with pytest.raises(StoreUnavailableError, match="Permission denied: check"):
                await JobStore.open(path, clock=ManualClock())
        finally:
            os.seteuid(os.getuid())


async def test_open_empty_file_creates_tables(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert size(path) > 0
    store = await JobStore.open(path, clock=ManualClock())
    await store.set_setting("a", "b")
    await store.close()


async def test_open_reads_hot_log(path):
    store = await JobStore.open(path, clock=ManualClock())
    await store.set_setting("a", "b")
    copy = f"{path}.crashed"
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    await store.close()
    crashed = await JobStore.open(copy, clock=ManualClock())
    assert await crashed.get_setting("a") == "b"
    await crashed.close()


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """Simulate a version of syncd with one more migration."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder)
    script = folder / "versions" / "9999_more.py"
    script.write_text(
        "from alembic import op\n"
        "revision = '9999'\n"
        f"down_revision = '{migrations.HEAD}'\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE more (x INTEGER)')\n"
        "    op.execute(\"UPDATE settings SET value = 'migrated'\")\n"
    )
    monkeypatch.setattr(migrations, "FOLDER", str(folder))
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, "9999"))
    monkeypatch.setattr(migrations, "HEAD", "9999")
    return script


async def _with_setting(path: str) -> None:
    store = await JobStore.open(path, clock=ManualClock())
    await store.set_setting("a", "as it was")
    await store.close()


async def test_migration_keeps_backup(path, request):
    before = migrations.HEAD
    await _with_setting(path)
    request.getfixturevalue("next_version")
    store = await JobStore.open(path, clock=ManualClock())
    assert await store.get_setting("a") == "migrated"
    await store.close()
    backup = f"{path}.before-9999"
    assert _mode(backup) == _mode(path)
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT value FROM settings").fetchall() == [("as it was",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]
    assert sorted(name for name in os.listdir(os.path.dirname(path)) if name.startswith("syncd")) == [
        "syncd.db",
        "syncd.db.before-9999",
    ]


async def test_failed_migration_leaves_store_unchanged(path, request):
    await _with_setting(path)
    script = request.getfixturevalue("next_version")
    script.write_text(script.read_text() + "    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        await JobStore.open(path, clock=ManualClock())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM settings").fetchall() == [("as it was",)]
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'more'").fetchall()
