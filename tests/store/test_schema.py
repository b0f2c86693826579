import sqlite3
from contextlib import closing

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from syncd.store import migrations, schema


def _objects(path: str) -> dict[str, str]:
    """The statements that made all tables, indices and triggers, without differences in white space."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def test_migrations_lead_to_the_schema(tmp_path):
    migrated, described = tmp_path / "migrated.db", tmp_path / "described.db"
    migrations.upgrade(create_engine(f"sqlite:///{migrated}"))
    engine = create_engine(f"sqlite:///{described}")
    schema.metadata.create_all(engine)
    engine.dispose()
    assert _objects(str(migrated)) == _objects(str(described))


def test_the_list_of_revisions_is_that_of_the_scripts():
    config = Config()
    config.set_main_option("script_location", migrations.FOLDER)
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(migrations.REVISIONS))
