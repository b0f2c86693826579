"""A machine that is lost or replaced: what is sent again, with and without a backup."""

import random
import shutil

import pytest

from tests.support.data import random_bytes

pytestmark = pytest.mark.e2e

FILES = 20


@pytest.fixture
def filled(daemon, receiver):
    """A daemon that has uploaded 20 files and ended; most are small enough for a single request."""
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
