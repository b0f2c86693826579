"""What the simulation of the whole engine found, each in as few steps as show it."""

import asyncio
import os

import pytest

from syncd.core.errors import Transient
from syncd.core.model import FoundFile
from syncd.core.retry import Policy
from syncd.core.states import Cause
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness
from tests.upload.test_worker import in_simulation


@pytest.mark.unix
@in_simulation
async def test_a_twin_may_have_any_name(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        data = os.urandom(50_000)
        names = [harness.write(name, data) for name in ("\udcff\n.jpg", "\udcfe.jpg")]
        await harness.queue(*names)
        await harness.wait_for_states(done=2)
        details = [step.detail for name in names for step in await harness.store.history((await harness.job(name)).id)]
        assert any(r"uploaded as \xf" in (detail or "") for detail in details)


@in_simulation
async def test_a_job_that_is_queued_again_may_start_before_its_last_run_has_wound_up(tmp_path):
    errors = []
    async with UploadHarness(tmp_path) as harness:
        harness.loop.set_exception_handler(lambda _, context: errors.append(context))
        remember, harness.remote.capabilities = harness.store.save_capabilities, {"learned": 1}

        async def slow_remember(*about):
            await remember(*about)
            await asyncio.sleep(10)  # the run before is still at it when the job is claimed again

        harness.store.save_capabilities = slow_remember
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        await harness.add_file("a.jpg", os.urandom(50_000))
        await harness.wait_for_states(done=1)
        assert harness.worker.progress()
        await harness.worker.drain()
        assert not harness.worker.progress()
    assert not errors


@in_simulation
async def test_a_file_that_became_unfit_while_it_was_uploaded_is_skipped(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        await harness.add_file("a.jpg", b"")
        await harness.wait_for_states(skipped=1)
        job = await harness.job("a.jpg")
        assert (job.cause, job.detail) == (Cause.UNFIT, "empty")
        await harness.store.retry([job.id])  # a person may try it all the same
        await harness.wait_for_states(queued=0, uploading=0)
        assert (await harness.job("a.jpg")).detail == "empty"
        assert harness.remote.count("begin") == 1


@in_simulation
async def test_a_clock_that_is_set_back_keeps_no_job_waiting(tmp_path):
    failures = [Transient("once")]
    async with UploadHarness(tmp_path, policy=Policy(initial=60, maximum=60)) as harness:
        harness.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await harness.add_file("a.jpg", b"a")
        await harness.wait_for_states(waiting=1)
        harness.clock_step = -86_400.0
        asked = harness.loop.now
        await harness.wait_for_states(done=1)
        assert harness.loop.now - asked < 120


@in_simulation
async def test_nor_one_whose_lane_is_another_by_then(tmp_path):
    failures = [Transient("once")]
    async with UploadHarness(tmp_path, policy=Policy(initial=60, maximum=60)) as harness:
        harness.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await harness.add_file("a.jpg", b"a")
        await harness.wait_for_states(waiting=1)
        await harness.scheduler.remove("fake")
        harness.clock_step = -86_400.0
        asked = harness.loop.now
        harness.worker = harness.make_worker()  # as after a reload
        harness.scheduler.add(harness.worker)
        await harness.wait_for_states(done=1)
        assert harness.loop.now - asked < 120


@in_simulation
async def test_a_job_that_is_cut_off_before_it_began_is_released(tmp_path):
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
async def test_what_is_no_file_any_more_is_not_called_empty(tmp_path):
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
async def test_a_stop_does_not_wait_for_a_full_disk_to_wake_a_twin(tmp_path):
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
async def test_what_was_claimed_for_a_lane_that_went_meanwhile_goes_back(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        claim, freed = harness.store.claim, asyncio.Event()

        async def slow_claim(*about, **values):
            jobs = await claim(*about, **values)
            await freed.wait()  # as behind a full disk
            return jobs

        harness.store.claim = slow_claim
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_for_states(uploading=1)
        await harness.scheduler.remove("fake")
        freed.set()
        async with asyncio.timeout(60):
            await harness.wait_for_states(queued=1, uploading=0)


@in_simulation
async def test_a_reload_may_change_the_lanes_while_a_stop_waits_for_them(tmp_path):
    async with UploadHarness(tmp_path, FakeRemote(latency=1)) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send"))
        stopping = asyncio.create_task(harness.scheduler.pause(now=False))
        await asyncio.sleep(0)
        await harness.scheduler.remove("fake")
        await stopping
