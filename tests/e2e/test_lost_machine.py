"""A lost or replaced machine: which files are sent again, with and without backup."""

import random
import shutil
import tarfile

import pytest
import yaml

from tests.support.data import random_bytes
from tests.support.processes import DaemonProcess, run_command

pytestmark = pytest.mark.e2e

FILES = 20


@pytest.fixture
def filled(daemon, receiver):
    """A daemon that has uploaded 20 files and ended.

    Most files are small enough for a single request.
    """
    rng = random.Random(5)
    for number in range(FILES):
        size = 3 * 1024 * 1024 if number == 7 else rng.randrange(1000, 100_000)
        (daemon.inbox / f"{number}.jpg").write_bytes(random_bytes(size, number))
    daemon.start()
    daemon.wait_for_counts(done=2 * FILES)
    daemon.terminate()
    return daemon


def test_new_store_sends_no_known_file_again(filled, receiver):
    before = receiver.counters()
    shutil.rmtree(filled.state)
    filled.start()
    filled.wait_for_counts(done=2 * FILES)
    after = receiver.counters()
    assert after["files"] + after["images"] == before["files"] + before["images"]
    assert after["bytes"] - before["bytes"] < 1000 * 2 * FILES  # the look-ups; a file has at least 1000 bytes
    assert receiver.chunk_requests() == before["chunks_received"] + before["chunks_repeated"]
    assert {job["outcome"] for job in filled.jobs()} == {"duplicate"}


def test_backup_on_new_machine_sends_nothing_again(filled, receiver, tmp_path):
    """Follow the documentation: a backup of a running daemon, a new state folder.

    The files have other inodes.
    """
    filled.settings["remotes"]["drive"]["token"] = "a-secret-token"
    filled.start()
    filled.wait_for_counts(done=2 * FILES)
    done = run_command("backup", "-c", filled.config, tmp_path / "backup.tar")
    assert (done.code, done.err) == (0, "")
    filled.kill()
    before, new_file = receiver.counters(), random_bytes(500, 99)

    (tmp_path / "new").mkdir()
    new = DaemonProcess(tmp_path / "new", receiver.url)
    shutil.copytree(filled.inbox, new.inbox, dirs_exist_ok=True, copy_function=shutil.copy)  # new times and inodes
    new.state.mkdir(mode=0o700)
    with tarfile.open(tmp_path / "backup.tar") as archive:
        archive.extract("syncd.db", new.state, filter="data")
        config = archive.extractfile("config.yaml").read().decode()
    new.settings = yaml.safe_load(config.replace(str(filled.state), str(new.state)))
    drive = new.settings["remotes"]["drive"]
    assert drive["token"] == "removed by syncd backup"
    drive["token"] = "a-new-token"
    new.start()
    try:
        (new.inbox / "new.jpg").write_bytes(new_file)
        new.wait_for_counts(done=2 * FILES + 2 * FILES + 2)  # the records of the old folder stay
        after = receiver.counters()
        outcomes = [job["outcome"] for job in new.jobs() if job["folder"] == str(new.inbox)]
        assert sorted(outcomes) == ["duplicate"] * 2 * FILES + ["uploaded"] * 2
    finally:
        new.kill()
    assert (after["files"], after["images"]) == (before["files"] + 1, before["images"] + 1)
    assert after["bytes"] - before["bytes"] < 4 * len(new_file)  # only the new file, to both remotes
