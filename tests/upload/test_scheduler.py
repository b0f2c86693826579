"""The scheduler and its workers, in simulated time."""

import asyncio
import itertools
import os

from syncd.upload.worker import LEASE_SECONDS, RemoteWorker
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness
from tests.upload.test_worker import in_simulation


@in_simulation
async def test_the_leases_of_what_runs_are_kept(tmp_path):
    async with UploadHarness(tmp_path, FakeRemote(latency=2 * LEASE_SECONDS)) as harness:
        renewed = []
        renew = harness.store.renew

        async def watched(owner, lease):
            renewed.append(harness.loop.now)
            await renew(owner, lease)

        harness.store.renew = watched
        await harness.add_file("a.jpg", os.urandom(100))
        await harness.wait_for_states(done=1)
        assert len(renewed) >= 3
        assert all(later - earlier < LEASE_SECONDS / 2 for earlier, later in itertools.pairwise(renewed))


@in_simulation
async def test_a_lane_that_comes_during_a_stop_stands_still_until_the_start(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.scheduler.pause(now=False)
        line, context = harness.worker.endpoint, harness.worker._context
        await harness.scheduler.remove("fake")
        harness.worker = RemoteWorker("fake", harness.remote_id, line, context)
        harness.scheduler.add(harness.worker)
        await harness.add_file("a.jpg", os.urandom(3000))
        await asyncio.sleep(60)
        assert not harness.remote.calls
        harness.scheduler.resume()
        await harness.wait_for_states(done=1)


@in_simulation
async def test_a_lane_that_dies_is_told(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        error = RuntimeError("a bug")

        async def broken(*about, **values):
            raise error

        harness.store.next_due = broken
        harness.scheduler.wake()
        async with asyncio.timeout(10):
            while not harness.failures:
                await asyncio.sleep(0.1)
        assert harness.failures == [error]
        harness.failures.clear()


@in_simulation
async def test_close_ends_the_renewal_of_leases(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        renewal = harness.scheduler._renewal
        assert renewal is not None
        await harness.scheduler.close()
        assert renewal.done()
