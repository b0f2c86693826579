"""What ``syncd check`` warns of where files are deleted or moved, and what it reads in the job store."""

import asyncio
import json
import os
import sys
import time

import pytest

from syncd.config import destinations
from syncd.config.load import load
from syncd.core.model import Fingerprint, FoundFile, Proof, Stored
from syncd.core.states import Outcome
from syncd.platform import watchers
from syncd.store.job_store import JobStore


@pytest.fixture
def warned(syncd):
    """Run ``check --json``; return what it warns of, by where that is."""

    def run(config):
        findings = json.loads(syncd("check", "-c", config, "--json").out)["findings"]
        return {finding["where"]: finding for finding in findings if finding["level"] == "warn"}

    return run


@pytest.fixture
def written(config, closed_port, tmp_path):
    """Write a configuration with other settings of the folder and of ``drive``."""

    def write(*, folder="", drive=""):
        path = config(f"http://127.0.0.1:{closed_port}")
        text = path.read_text().replace("path: inbox,", f"path: inbox, {folder}").replace("000}", f"000, {drive}}}")
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def fill(path, *, proofs, name="drive", **changes):
    """Make the store of a configuration, with a content for each proof on a remote of that name."""

    async def made():
        config = load(path).config
        store = await JobStore.open(str(config.store), clock=time.time)
        settings = config.remotes[name].model_copy(update=changes)
        remote = await store.register_remote(name, destinations.identity(name, settings))
        for number, proof in enumerate(proofs):
            seen = FoundFile(path=f"{number}.jpg", fingerprint=Fingerprint(inode=number + 1, size=1, mtime_ns=1))
            await store.observe("/x", [seen], [remote.id], is_gone=lambda *_: False)
            (job,) = await store.claim(remote.id, 1, owner="tests", lease=60.0)
            stored = Stored(ref=str(number), proof=proof)
            await store.finish(job, key=str(number), stored=stored, outcome=Outcome.UPLOADED)
        await store.close()

    asyncio.run(made())


@pytest.mark.parametrize(
    ("after", "said"), [("delete", "no copy remains"), ("{move: away}", "the only copy is in"), ("keep", None)]
)
def test_copies_that_a_server_drops(warned, written, after, said):
    seen = warned(written(folder=f"after_upload: {after},", drive="expired_at: 30d"))
    found = [finding for where, finding in seen.items() if where.startswith("after_upload of")]
    if said is None:
        assert found == []
        return
    (finding,) = found
    assert "drive deletes its copy at expired_at" in finding["what"]
    assert said in finding["what"]
    assert "keep" in finding["advice"]


def test_copies_that_stay(warned, written):
    assert not any(where.startswith("after_upload") for where in warned(written(folder="after_upload: delete,")))


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")
@pytest.mark.parametrize("after", ["delete", "keep"])
def test_a_folder_that_another_daemon_watches(warned, written, tmp_path, after):
    path = written(folder=f"after_upload: {after},")
    where = f"watch of {tmp_path / 'inbox'}"
    (tmp_path / "state").mkdir()
    with watchers.announce_watch(os.stat(tmp_path / "inbox"), os.stat(tmp_path / "state")):
        assert where not in warned(path)  # its own daemon
    with watchers.announce_watch(os.stat(tmp_path / "inbox"), os.stat(tmp_path)):
        finding = warned(path)[where]
    assert f"pid {os.getpid()}" in finding["what"]
    assert ("keep" in finding["advice"]) is (after == "delete")


def test_a_server_that_names_neither_hash_nor_size(warned, written):
    path = written()
    fill(path, proofs=[Proof.NONE, Proof.SIZE, Proof.NONE, Proof.HASH])
    finding = warned(path)["confirmations of drive"]
    assert "2 of 4 contents without hash and size" in finding["what"]
    assert "never deleted" in finding["what"]
    assert "syncd verify" in finding["advice"]


def test_a_server_that_names_one_of_them(warned, written):
    path = written()
    fill(path, proofs=[Proof.SIZE, Proof.HASH])
    assert not any(where.startswith("confirmations") for where in warned(path))


def test_a_former_address_whose_records_are_not_used(warned, written):
    path = written(drive="former_url: http://old.example")
    fill(path, proofs=[], url="http://old.example")
    assert not any(where.startswith("former_url") for where in warned(path))  # they will be taken over
    fill(path, proofs=[])
    finding = warned(path)["former_url of drive"]
    assert "http://old.example" in finding["what"]
    assert "remove it from former_url" in finding["advice"]


def test_nothing_is_left_beside_the_store(warned, written, tmp_path):
    path = written()
    fill(path, proofs=[Proof.NONE])
    before = (tmp_path / "state" / "syncd.db").read_bytes()
    warned(path)
    assert os.listdir(tmp_path / "state") == ["syncd.db"]
    assert (tmp_path / "state" / "syncd.db").read_bytes() == before
