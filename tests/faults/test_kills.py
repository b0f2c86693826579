"""``kill -9`` of daemon and receiver at random times, with an unreliable connection.

Files change meanwhile.
"""

import os
import random
import time

import pytest

from tests.faults import resends
from tests.faults.churn import MIB, Churn
from tests.faults.proxy import UNRELIABLE_NETWORK
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e


MAX_COMMIT_SECONDS = 1.0
"""Seconds after its response in which the store commits a chunk, on a busy machine."""


class Killer:
    """Kills and restarts daemon and receiver; records the contents of the store at each kill."""

    def __init__(self, daemon, receiver, proxy, rng):
        self.daemon, self.receiver, self.proxy, self.rng = daemon, receiver, proxy, rng
        self.snapshots = []
        self.starting = 0

    def kill_daemon(self):
        if self.rng.random() < 0.25:  # before it is ready
            self.starting += 1
        else:
            wait_until_sync(self.daemon.is_ready, self.daemon.log.read_text)
        self._later(1.5)
        self.daemon.kill()
        self.snapshots.append(resends.read_store(self.daemon, self.proxy))
        drive = self.daemon.settings["remotes"]["drive"]
        drive["direct"] = self.rng.choice(["auto", "never", "never"])  # small files in one request, or in chunks
        self.daemon.start(wait=False)

    def kill_receiver(self):
        self._later(1.0)
        self.receiver.kill()
        self._later(0.5)
        self.receiver.start()

    def _later(self, most):
        time.sleep(self.rng.uniform(0, most))  # a random time, not a wait for a condition


def test_kills_at_any_time_every_file_arrives_complete(daemon, receiver, proxy, scale, capsys):
    seed = int(os.environ.get("FAULTS_SEED", "11"))
    rng = random.Random(seed)
    files, kills, crashes = scale(120, 2000), scale(8, 50), scale(4, 20)
    churn = Churn(daemon.inbox, files=files, seed=seed, giants=scale(4, 25), largest=scale(4, 20) * MIB)
    killer = Killer(daemon, receiver, proxy, rng)
    daemon.settings["remotes"]["drive"]["chunk_size"] = "128KiB"
    daemon.settings["remotes"]["ascii"]["chunk_size"] = "64KiB"
    daemon.settings["folders"][0]["rescan"] = "5s"
    proxy.odds, proxy.rate = UNRELIABLE_NETWORK, 2 * MIB
    proxy._rng.seed(seed)
    began = time.monotonic()
    daemon.start(wait=False)
    churn.start()
    ends = [killer.kill_daemon] * kills + [killer.kill_receiver] * crashes
    rng.shuffle(ends)
    for end in ends:
        churn.permit(files // len(ends))
        end()
    churn.permit(files)
    churn.join()
    proxy.odds, proxy.rate = {}, None
    wait_until_sync(daemon.is_ready, daemon.log.read_text)
    wait_until_sync(lambda: settled(daemon, churn), lambda: unsettled(daemon, churn)[:5], 300)
    seconds = time.monotonic() - began

    assert_all_arrived(daemon, receiver, churn)
    assert_only_known_contents(receiver, churn)
    requests = list(proxy.requests)
    assert not resends.resent_after_kill(killer.snapshots, requests)
    assert not resends.resent_by_one_process(killer.snapshots, requests)
    assert max(resends.resent_before_commit(killer.snapshots, requests), default=0.0) < MAX_COMMIT_SECONDS
    assert daemon.client.status()["jobs"]["failed"] == 0
    assert daemon.terminate() == 0
    assert not daemon.events("job.crashed")
    with capsys.disabled():
        report(seed, seconds, churn, killer, proxy, crashes)


def settled(daemon, churn):
    counts = daemon.client.status()["jobs"]
    return not (counts["queued"] or counts["uploading"] or counts["waiting"]) and not unsettled(daemon, churn)


def unsettled(daemon, churn):
    """Return the files whose current content is not uploaded."""
    jobs = {(job["path"], job["remote"]): job for job in daemon.jobs()}
    return [
        (str(path), remote, jobs.get((str(path), remote)))
        for path, text in churn.there.items()
        for remote in ("drive", "ascii")
        if (job := jobs.get((str(path), remote))) is None or job["state"] != "done" or job["size"] != text.size
    ]


def assert_all_arrived(daemon, receiver, churn):
    jobs = {(job["path"], job["remote"]): job for job in daemon.jobs("done")}
    for path, text in churn.there.items():
        data = text.bytes()
        for remote in ("drive", "ascii"):
            assert receiver.content(jobs[str(path), remote]) == data, path


def assert_only_known_contents(receiver, churn):
    drive, ascii_ = churn.digests()
    assert set(os.listdir(receiver.folder / "files" / "finished")) <= drive
    assert set(os.listdir(receiver.folder / "images" / "finished")) <= ascii_


def report(seed, seconds, churn, killer, proxy, crashes):
    snapshots, requests = killer.snapshots, proxy.requests
    ages = resends.resent_before_commit(snapshots, requests)
    busy = sum(snapshot.open > 0 for snapshot in snapshots)
    chunks = sum(one.chunk is not None for one in requests)
    acknowledged = sum(len(snapshot.acknowledged) for snapshot in snapshots)
    print(f"\n  seed {seed}: {seconds:.0f} s; files {churn.counts}, {churn.bytes / MIB:.0f} MiB")
    print(f"  daemon killed {len(snapshots)} times, {killer.starting} of them while it came up, {busy} with jobs open")
    print(f"  receiver killed {crashes} times; network faults: {dict(proxy.injected())}")
    print(f"  requests with a chunk: {chunks}; acknowledged at the kills: {acknowledged}, none of them was sent again")
    print(f"  answered at most {max(ages, default=0):.3f} s before a kill, not yet recorded, sent again: {len(ages)}")
