"""New files are uploaded before a backlog, in simulated time."""

import os

import pytest

from syncd.core.model import ClaimOrder
from syncd.upload.worker import CLAIM_AHEAD
from tests.upload.harness import UploadHarness, in_simulation

BACKLOG = 3 * CLAIM_AHEAD


async def _begun_before(harness, order):
    """Queue a file while a backlog is uploaded.

    Returns how many of the backlog's files were begun before it.
    """
    harness.worker.claimer.order = order
    names = [harness.write(f"{number}.jpg", os.urandom(500)) for number in range(BACKLOG)]
    await harness.queue(*names, backlog=True)
    await harness.wait_until(lambda: len(_begun(harness)) > 10)
    before = len(_begun(harness))
    await harness.add_file("new.jpg", os.urandom(500))
    await harness.wait_for_states(done=BACKLOG + 1)
    return _begun(harness).index("new.jpg") - before


def _begun(harness):
    return [call[1] for call in harness.remote.calls if call[0] == "begin"]


@pytest.mark.parametrize("order", [ClaimOrder.FAIR, ClaimOrder.NEWEST])
def test_worker_uploads_new_file_at_once(tmp_path, order):
    @in_simulation
    async def run():
        async with UploadHarness(tmp_path, concurrency=2) as harness:
            assert await _begun_before(harness, order) <= 4

    run()


@in_simulation
async def test_worker_oldest_order_ends_with_new_file(tmp_path):
    async with UploadHarness(tmp_path, concurrency=2) as harness:
        assert await _begun_before(harness, ClaimOrder.OLDEST) > BACKLOG - 20


@in_simulation
async def test_worker_many_new_files_do_not_starve_backlog(tmp_path):
    async with UploadHarness(tmp_path, concurrency=2) as harness:
        backlog = [harness.write(f"old {number}.jpg", os.urandom(500)) for number in range(BACKLOG)]
        new = [harness.write(f"new {number}.jpg", os.urandom(500)) for number in range(BACKLOG)]
        await harness.queue(*backlog, backlog=True)
        await harness.queue(*new)
        await harness.wait_for_states(done=2 * BACKLOG)
        middle = _begun(harness)[CLAIM_AHEAD : 3 * CLAIM_AHEAD]
        assert 0.3 < sum(name.startswith("new") for name in middle) / len(middle) < 0.7


@in_simulation
async def test_worker_claims_new_file_while_memory_is_used_up(tmp_path, monkeypatch):
    monkeypatch.setattr("syncd.upload.worker.MAX_MEMORY_BYTES", 5000)
    async with UploadHarness(tmp_path, concurrency=2) as harness:
        assert await _begun_before(harness, ClaimOrder.FAIR) <= 4
