"""``syncd check``: warnings about ``after_upload`` and the job store's records."""

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
def warnings_of(syncd):
    """Run ``check --json``; return the warnings by ``where``."""

    def run(config):
        findings = json.loads(syncd("check", "-c", config, "--json").out)["findings"]
        return {finding["where"]: finding for finding in findings if finding["level"] == "warn"}

    return run


@pytest.fixture
def write_config(config, closed_port, tmp_path):
    """Write a configuration with more settings of the folder and of ``drive``."""

    def write(*, folder="", drive=""):
        path = config(f"http://127.0.0.1:{closed_port}")
        text = path.read_text().replace("path: inbox,", f"path: inbox, {folder}").replace("000}", f"000, {drive}}}")
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def fill_store(path, *, proofs, name="drive", **changes):
    """Create the job store, with an upload to the remote ``name`` for each proof."""

    async def fill():
        config = load(path).config
        store = await JobStore.open(str(config.store), clock=time.time)
        settings = config.remotes[name].model_copy(update=changes)
        remote = await store.register_remote(name, destinations.identity(name, settings))
        for number, proof in enumerate(proofs):
            found = FoundFile(path=f"{number}.jpg", fingerprint=Fingerprint(inode=number + 1, size=1, mtime_ns=1))
            await store.observe("/x", [found], [remote.id], is_gone=lambda *_: False)
            (job,) = await store.claim(remote.id, 1, owner="tests", lease=60.0)
            stored = Stored(ref=str(number), proof=proof)
            await store.finish(job, key=str(number), stored=stored, outcome=Outcome.UPLOADED)
        await store.close()

    asyncio.run(fill())


@pytest.mark.parametrize(
    ("after", "expected"), [("delete", "no copy remains"), ("{move: away}", "the only copy is in"), ("keep", None)]
)
def test_check_expiring_copies_warn_by_after_upload(warnings_of, write_config, after, expected):
    warnings = warnings_of(write_config(folder=f"after_upload: {after},", drive="expired_at: 30d"))
    found = [finding for where, finding in warnings.items() if where.startswith("after_upload of")]
    if expected is None:
        assert found == []
        return
    (finding,) = found
    assert "drive deletes its copy at expired_at" in finding["what"]
    assert expected in finding["what"]
    assert "keep" in finding["advice"]


def test_check_copies_without_expiry_do_not_warn(warnings_of, write_config):
    assert not any(
        where.startswith("after_upload") for where in warnings_of(write_config(folder="after_upload: delete,"))
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
@pytest.mark.parametrize("after", ["delete", "keep"])
def test_check_folder_watched_by_other_daemon_warns(warnings_of, write_config, tmp_path, after):
    path = write_config(folder=f"after_upload: {after},")
    where = f"watch of {tmp_path / 'inbox'}"
    (tmp_path / "state").mkdir()
    with watchers.announce_watch(os.stat(tmp_path / "inbox"), os.stat(tmp_path / "state")):
        assert where not in warnings_of(path)  # its own daemon
    with watchers.announce_watch(os.stat(tmp_path / "inbox"), os.stat(tmp_path)):
        finding = warnings_of(path)[where]
    assert f"pid {os.getpid()}" in finding["what"]
    assert ("keep" in finding["advice"]) is (after == "delete")


def test_check_unproven_uploads_warn(warnings_of, write_config):
    path = write_config()
    fill_store(path, proofs=[Proof.NONE, Proof.SIZE, Proof.NONE, Proof.HASH])
    finding = warnings_of(path)["confirmations of drive"]
    assert "2 of 4 contents without hash and size" in finding["what"]
    assert "never deleted" in finding["what"]
    assert "syncd verify" in finding["advice"]


def test_check_proven_uploads_do_not_warn(warnings_of, write_config):
    path = write_config()
    fill_store(path, proofs=[Proof.SIZE, Proof.HASH])
    assert not any(where.startswith("confirmations") for where in warnings_of(path))


def test_check_unused_former_url_warns(warnings_of, write_config):
    path = write_config(drive="former_url: http://old.example")
    fill_store(path, proofs=[], url="http://old.example")
    assert not any(
        where.startswith("former_url") for where in warnings_of(path)
    )  # the daemon will take the records over
    fill_store(path, proofs=[])
    finding = warnings_of(path)["former_url of drive"]
    assert "http://old.example" in finding["what"]
    assert "remove it from former_url" in finding["advice"]


def test_check_leaves_store_unchanged(warnings_of, write_config, tmp_path):
    path = write_config()
    fill_store(path, proofs=[Proof.NONE])
    before = (tmp_path / "state" / "syncd.db").read_bytes()
    warnings_of(path)
    assert os.listdir(tmp_path / "state") == ["syncd.db"]
    assert (tmp_path / "state" / "syncd.db").read_bytes() == before
