"""``syncd backup``: its file, and who can read it.

Also tests ``syncd restore`` without a job store.
"""

import os
import sqlite3
import tarfile
from contextlib import closing

import pytest
import yaml

from syncd.recovery import backup
from tests.support.data import random_bytes
from tests.support.processes import run_main

pytestmark = pytest.mark.e2e


@pytest.fixture
def filled(harness):
    harness.write("a.jpg", random_bytes(1000, 1))
    harness.upload()
    return harness


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: (member.mode, archive.extractfile(member).read()) for member in archive}


def test_backup_is_complete_and_for_owner_only(filled):
    path = filled.folder / "b.tar"
    before = {entry.name for entry in filled.folder.iterdir()}
    done = filled.syncd("backup", path)
    assert (done.code, done.err) == (0, "")
    assert "syncd.db: the job store" in done.out
    assert path.stat().st_mode & 0o777 == 0o600
    assert {entry.name for entry in filled.folder.iterdir()} - before == {"b.tar"}
    found = members(path)
    assert {name: mode for name, (mode, _) in found.items()} == {"syncd.db": 0o600, "config.yaml": 0o600}
    (filled.folder / "copy.db").write_bytes(found["syncd.db"][1])
    with closing(sqlite3.connect(filled.folder / "copy.db")) as copy:
        assert copy.execute("SELECT path FROM files").fetchall() == filled.sql("SELECT path FROM files")


def test_backup_contains_rows_of_the_log(filled):
    """Committed rows of a running daemon are in the write-ahead log.

    They are not yet in the main file.
    """
    store = filled.folder / "state" / "syncd.db"
    with closing(sqlite3.connect(store, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE remotes SET name = 'from the log'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE remotes SET name = 'not committed'")
        assert filled.syncd("backup", filled.folder / "b.tar").code == 0
        writer.execute("ROLLBACK")
    (filled.folder / "copy.db").write_bytes(members(filled.folder / "b.tar")["syncd.db"][1])
    with closing(sqlite3.connect(filled.folder / "copy.db")) as copy:
        assert set(copy.execute("SELECT name FROM remotes")) == {("from the log",)}


def test_backup_contains_no_secret(filled, monkeypatch):
    monkeypatch.setenv("DRIVE_TOKEN", "token-of-environment")
    filled.settings["remotes"]["drive"] |= {"token": "${DRIVE_TOKEN}", "headers": {"X-Key": "Key secret-of-header"}}
    filled.settings["remotes"]["ascii"] |= {"token": "token-in-file", "proxy": "http://me:pass-of-proxy@127.0.0.1:9"}
    filled.settings["notify"] = {"urls": ["ntfy://127.0.0.1/topic-secret1"]}
    filled.write_settings()
    with filled.config.open("a") as file:
        file.write("# token: an-older-token\n")
    done = run_main("backup", filled.folder / "b.tar", "-c", filled.config)
    assert (done.code, "4 secrets" in done.out) == (0, True)
    config = members(filled.folder / "b.tar")["config.yaml"][1].decode()
    assert not [word for word in ("secret", "token-", "pass-of", "an-older") if word in config]
    settings = yaml.safe_load(config)
    assert settings["remotes"]["drive"]["token"] == "${DRIVE_TOKEN}"
    assert settings["remotes"]["ascii"]["token"] == backup.REMOVED
    assert settings["folders"] == filled.settings["folders"]


def test_failed_backup_keeps_earlier_file(filled, monkeypatch):
    path = filled.folder / "b.tar"
    assert filled.syncd("backup", path).code == 0
    before = path.read_bytes()

    def fail(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "sync_path", fail)
    done = filled.syncd("backup", path)
    assert (done.code, "No space left on device; give a file" in done.err) == (69, True)
    assert path.read_bytes() == before
    assert not [name for name in os.listdir(filled.folder) if name.startswith(".syncd-backup")]


@pytest.mark.parametrize("command", [("backup", "b.tar"), ("restore", "--to", "back")])
def test_command_without_store_says_there_is_no_record(harness, command):
    harness.write_settings()
    done = harness.syncd(command[0], *command[1:-1], harness.folder / command[-1])
    assert done.code == 65
    assert "no record of uploads on this machine: copy a backup of the job store there" in done.err
    assert not (harness.folder / "b.tar").exists()


def test_restore_with_empty_store_says_there_is_no_record(harness):
    harness.upload()
    done = harness.syncd("restore", "--to", harness.folder / "back")
    assert done.out.startswith("no record of uploads on this machine; copy a backup of the job store")
