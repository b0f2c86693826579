import sqlite3

import pytest
from sqlalchemy.exc import DatabaseError

from syncd.store.connection import engine


@pytest.mark.parametrize("writing", [True, False])
def test_engine_closes_unusable_connection(tmp_path, monkeypatch, writing):
    path = tmp_path / "syncd.db"
    path.write_bytes(b"no database" * 1000)
    opened = []
    connect = sqlite3.connect

    def noted(*arguments, **options):
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    with pytest.raises((sqlite3.DatabaseError, DatabaseError)), engine(str(path), writing=writing).connect() as used:
        used.exec_driver_sql("SELECT 1 FROM sqlite_master")
    (raw,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        raw.execute("SELECT 1")
