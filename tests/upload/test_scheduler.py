"""The scheduler and its workers, in simulated time."""

import asyncio
import itertools
import os

from syncd.upload.worker import LEASE_SECONDS, RemoteWorker
from tests.upload.fakes import Bench, FakeRemote
from tests.upload.test_worker import in_simulation


@in_simulation
async def test_the_leases_of_what_runs_are_kept(tmp_path):
    async with Bench(tmp_path, FakeRemote(latency=2 * LEASE_SECONDS)) as bench:
        renewed = []
        renew = bench.store.renew

        async def watched(owner, lease):
            renewed.append(bench.loop.now)
            await renew(owner, lease)

        bench.store.renew = watched
        await bench.drop("a.jpg", os.urandom(100))
        await bench.settle(done=1)
        assert len(renewed) >= 3
        assert all(later - earlier < LEASE_SECONDS / 2 for earlier, later in itertools.pairwise(renewed))


@in_simulation
async def test_a_lane_that_comes_during_a_stop_stands_still_until_the_start(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.scheduler.pause(now=False)
        line, context = bench.worker.endpoint, bench.worker._context
        await bench.scheduler.remove("fake")
        bench.worker = RemoteWorker("fake", bench.remote_id, line, context)
        bench.scheduler.add(bench.worker)
        await bench.drop("a.jpg", os.urandom(3000))
        await asyncio.sleep(60)
        assert not bench.remote.calls
        bench.scheduler.resume()
        await bench.settle(done=1)


@in_simulation
async def test_a_lane_that_dies_is_told(tmp_path):
    async with Bench(tmp_path) as bench:
        error = RuntimeError("a bug")

        async def broken(*about, **values):
            raise error

        bench.store.next_due = broken
        bench.scheduler.wake()
        async with asyncio.timeout(10):
            while not bench.died:
                await asyncio.sleep(0.1)
        assert bench.died == [error]
        bench.died.clear()


@in_simulation
async def test_close_ends_the_renewal_of_leases(tmp_path):
    async with Bench(tmp_path) as bench:
        renewal = bench.scheduler._renewal
        assert renewal is not None
        await bench.scheduler.close()
        assert renewal.done()
