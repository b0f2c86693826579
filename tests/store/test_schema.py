import os
import sqlite3
from contextlib import closing

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from syncd.core.model import Sort
from syncd.core.states import State
from syncd.store import migrations, schema
from syncd.store.job_store import JobStore
from syncd.store.records import JobFilter
from tests.support.clock import ManualClock


def _objects(path: str) -> dict[str, str]:
    """Return the SQL of all tables, indices and triggers with normalised white space."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def test_migrations_create_the_schema(tmp_path):
    migrated, described = tmp_path / "migrated.db", tmp_path / "described.db"
    for path, make in ((migrated, migrations.upgrade), (described, schema.metadata.create_all)):
        engine = create_engine(f"sqlite:///{path}")
        make(engine)
        engine.dispose()
    assert _objects(str(migrated)) == _objects(str(described))


def test_revisions_match_scripts():
    config = Config()
    config.set_main_option("script_location", migrations.FOLDER)
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(migrations.REVISIONS))


async def test_store_of_first_version_keeps_all_rows(tmp_path):
    path = str(tmp_path / "syncd.db")
    config = Config()
    config.set_main_option("script_location", migrations.FOLDER)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("INSERT INTO remotes VALUES (1, 'drive', 'drive', '{}')")
        rows = (b"/a", os.fsencode("x\udcff"), "done"), (b"/b", b"y", "failed")
        for file, (folder, name, state) in enumerate(rows, 1):
            store.execute("INSERT INTO files VALUES (?, ?, ?, '7', ?, 9, '1', 1, 1)", (file, folder, name, str(file)))
            store.execute(
                "INSERT INTO jobs VALUES (?, ?, 1, ?, 'found', NULL, NULL, 0, 0, NULL, NULL, 0, 1, 9, 0, NULL, NULL,"
                " NULL, 0, 0)",
                (file + 10, file, state),
            )
    before = await _listed(path)
    assert before == {"/a": [11], "/b": [12], "/c": []}
    assert await _listed(path) == before
    with closing(sqlite3.connect(path)) as migrated:  # nothing shows which files were new
        assert migrated.execute("SELECT backlog FROM jobs").fetchall() == [(1,), (1,)]
    with closing(sqlite3.connect(f"{path}.before-{migrations.HEAD}")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


async def _listed(path: str) -> dict[str, list[int]]:
    store = await JobStore.open(path, clock=ManualClock())
    try:
        assert (await store.counts([1])).jobs == {state: int(state in ("done", "failed")) for state in State}
        assert await store.files_count("/a") == 1
        pages = {
            folder: await store.page(JobFilter(remote_ids=[1], folder=folder, sort=Sort.SMALLEST))
            for folder in ("/a", "/b", "/c")
        }
        return {folder: [job.id for job in page.jobs] for folder, page in pages.items()}
    finally:
        await store.close()
