"""Regression tests of bugs that the simulation found, each in as few steps as possible."""

import asyncio
import os

import pytest

from syncd.core.errors import Transient
from syncd.core.model import FoundFile
from syncd.core.retry import Policy
from syncd.core.states import Cause
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness, in_simulation


@pytest.mark.unix
@in_simulation
async def test_waiting_for_leader_with_undecodable_name_works(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        data = os.urandom(50_000)
        names = [harness.write(name, data) for name in ("\udcff\n.jpg", "\udcfe.jpg")]
        await harness.queue(*names)
        await harness.wait_for_states(done=2)
        details = [step.detail for name in names for step in await harness.store.history((await harness.job(name)).id)]
        assert any(r"uploaded as \xf" in (detail or "") for detail in details)


@in_simulation
async def test_job_may_start_before_its_last_attempt_has_ended(tmp_path):
    errors = []
    async with UploadHarness(tmp_path) as harness:
        harness.loop.set_exception_handler(lambda _, context: errors.append(context))
        save, harness.remote.capabilities = harness.store.save_capabilities, {"learned": 1}

        async def slow_save(*about):
            await save(*about)
            await asyncio.sleep(10)  # the last attempt still runs when the job is claimed again

        harness.store.save_capabilities = slow_save
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        await harness.add_file("a.jpg", os.urandom(50_000))
        await harness.wait_for_states(done=1)
        assert harness.worker.progress()
        await harness.worker.drain()
        assert not harness.worker.progress()
    assert not errors


@in_simulation
async def test_file_unfit_after_upload_began_is_skipped(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        await harness.add_file("a.jpg", b"")
        await harness.wait_for_states(skipped=1)
        job = await harness.job("a.jpg")
        assert (job.cause, job.detail) == (Cause.UNFIT, "empty")
        await harness.store.retry([job.id])  # a user can still retry it
        await harness.wait_for_states(queued=0, uploading=0)
        assert (await harness.job("a.jpg")).detail == "empty"
        assert harness.remote.count("begin") == 1


@in_simulation
async def test_clock_set_back_corrects_due_times(tmp_path):
    failures = [Transient("once")]
    async with UploadHarness(tmp_path, policy=Policy(initial=60, maximum=60)) as harness:
        harness.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await harness.add_file("a.jpg", b"a")
        await harness.wait_for_states(waiting=1)
        harness.clock.offset = -86_400.0
        asked = harness.loop.now
        await harness.wait_for_states(done=1)
        assert harness.loop.now - asked < 120


@in_simulation
async def test_clock_set_back_corrects_due_times_of_new_worker(tmp_path):
    failures = [Transient("once")]
    async with UploadHarness(tmp_path, policy=Policy(initial=60, maximum=60)) as harness:
        harness.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await harness.add_file("a.jpg", b"a")
        await harness.wait_for_states(waiting=1)
        await harness.scheduler.remove("fake")
        harness.clock.offset = -86_400.0
        asked = harness.loop.now
        harness.worker = harness.make_worker()  # as after a reload
        harness.scheduler.add(harness.worker)
        await harness.wait_for_states(done=1)
        assert harness.loop.now - asked < 120


@in_simulation
async def test_job_cancelled_before_first_step_is_released(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        claim = harness.store.claim

        async def claim_and_stop(*about, **values):
            jobs = await claim(*about, **values)
            if jobs:
                stops.append(asyncio.create_task(harness.scheduler.pause(now=True)))
            return jobs

        stops = []
        harness.store.claim = claim_and_stop
        await harness.add_file("a.jpg", b"a")
        await harness.wait_until(lambda: stops)
        await asyncio.gather(*stops)
        await harness.wait_for_states(queued=1)


@pytest.mark.unix
@in_simulation
async def test_file_replaced_by_fifo_is_not_reported_empty(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        path = harness.inbox / "a.jpg"
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        path.unlink()
        os.mkfifo(path)
        pipe = FoundFile(path="a.jpg", fingerprint=None, unfit="not a regular file")
        await harness.store.observe(str(harness.inbox), [pipe], [harness.remote_id], is_gone=lambda *_: False)
        await harness.wait_for_states(skipped=1)
        assert (await harness.job("a.jpg")).detail == "not a regular file"


@in_simulation
async def test_stop_with_full_disk_does_not_wait_to_wake_jobs(tmp_path):
    async with UploadHarness(tmp_path, FakeRemote(latency=60)) as harness:
        data = os.urandom(10_000)
        await harness.queue(*(harness.write(name, data) for name in ("a.jpg", "b.jpg")))
        await harness.wait_for_states(waiting=1, uploading=1)
        freed = asyncio.Event()

        async def wake(*about):
            await freed.wait()

        harness.store.wake = wake
        before = harness.loop.now
        await harness.scheduler.close()
        assert harness.loop.now - before < 5
        freed.set()


@in_simulation
async def test_jobs_claimed_for_removed_worker_are_released(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        claim, freed = harness.store.claim, asyncio.Event()

        async def slow_claim(*about, **values):
            jobs = await claim(*about, **values)
            await freed.wait()  # as with a full disk
            return jobs

        harness.store.claim = slow_claim
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_for_states(uploading=1)
        await harness.scheduler.remove("fake")
        freed.set()
        async with asyncio.timeout(60):
            await harness.wait_for_states(queued=1, uploading=0)


@in_simulation
async def test_pause_survives_removal_of_a_worker(tmp_path):
    async with UploadHarness(tmp_path, FakeRemote(latency=1)) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send"))
        stopping = asyncio.create_task(harness.scheduler.pause(now=False))
        await asyncio.sleep(0)
        await harness.scheduler.remove("fake")
        await stopping
