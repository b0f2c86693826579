"""Tests of the scheduler with its workers, in simulated time."""

import asyncio
import gc
import itertools
import os
from dataclasses import replace

from syncd.store.errors import StoreClosedError
from syncd.upload.job_claimer import LEASE_SECONDS
from syncd.upload.job_queue import BackgroundWrites
from syncd.upload.worker import RemoteWorker
from tests.support.wait import wait_until
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness, in_simulation


@in_simulation
async def test_scheduler_renews_leases_of_running_jobs(tmp_path):
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
async def test_scheduler_worker_added_while_paused_waits(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.scheduler.pause(now=False)
        endpoint, context = harness.worker.endpoint, harness.worker._context
        await harness.scheduler.remove("fake")
        harness.worker = RemoteWorker("fake", harness.remote_id, endpoint, context)
        harness.scheduler.add(harness.worker)
        await harness.add_file("a.jpg", os.urandom(3000))
        await asyncio.sleep(60)
        assert not harness.remote.calls
        harness.scheduler.resume()
        await harness.wait_for_states(done=1)


@in_simulation
async def test_scheduler_stop_during_poll_claims_nothing(tmp_path):
    """The pause falls between the worker's look at ``paused`` and its claim."""
    async with UploadHarness(tmp_path) as harness:
        claimed, claim = [], harness.store.claim

        async def watched_claim(*arguments, **options):
            claimed.append(arguments)
            return await claim(*arguments, **options)

        stopped = asyncio.Event()

        async def stop_during_poll():
            await harness.scheduler.stop()
            stopped.set()

        harness.worker._context = replace(harness.worker._context, check_clock=stop_during_poll)
        harness.store.claim = watched_claim
        harness.worker.wake()
        await wait_until(stopped.is_set)
        await asyncio.sleep(60)
        assert claimed == []


@in_simulation
async def test_scheduler_close_ends_worker_whose_removal_was_cancelled(tmp_path):
    """A shutdown can cancel the reload that removes the worker.

    The remote's connections must not stay open.
    """
    async with UploadHarness(tmp_path) as harness:
        ending, closed = asyncio.Event(), asyncio.Event()
        cancel = harness.worker.cancel

        async def hang():
            ending.set()
            harness.worker.cancel = cancel
            await asyncio.Event().wait()

        async def close():
            closed.set()

        harness.worker.cancel = hang
        harness.worker.endpoint.remote.close = close
        removal = asyncio.create_task(harness.scheduler.remove("fake"))
        await ending.wait()
        removal.cancel()
        await asyncio.gather(removal, return_exceptions=True)
        assert not closed.is_set()
        await harness.scheduler.close()
        assert closed.is_set()


@in_simulation
async def test_scheduler_removed_worker_ignores_failed_claim(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        claiming, closed, reported = asyncio.Event(), asyncio.Event(), []

        async def fail(*_about, **_values):
            claiming.set()
            await closed.wait()
            raise StoreClosedError("closed")

        harness.store.claim = fail
        harness.loop.set_exception_handler(lambda _loop, context: reported.append(context))
        harness.worker.wake()
        await claiming.wait()
        await harness.scheduler.remove("fake")
        closed.set()
        await asyncio.sleep(1)  # simulated, so that every callback has run
        assert reported == []


@in_simulation
async def test_scheduler_reports_failed_worker(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        error = RuntimeError("a bug")

        async def broken(*about, **values):
            raise error

        harness.store.next_due = broken
        harness.scheduler.wake()
        await wait_until(lambda: harness.failures)
        assert harness.failures == [error]
        harness.failures.clear()


@in_simulation
async def test_scheduler_close_ends_lease_renewal(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        renewal = harness.scheduler._renewal
        assert renewal is not None
        await harness.scheduler.close()
        assert renewal.done()


async def test_background_write_that_fails_is_ignored():
    async def fail():
        raise StoreClosedError("closed")

    loop, reported, writes = asyncio.get_running_loop(), [], BackgroundWrites()
    loop.set_exception_handler(lambda _loop, context: reported.append(context))
    await writes.wait_briefly(fail())
    cancelled = writes.start(asyncio.sleep(60))
    cancelled.cancel()
    await asyncio.wait([cancelled])
    gc.collect()  # asyncio reports the error of a task when it is collected
    assert reported == []
