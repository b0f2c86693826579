"""What the simulation of the whole engine found, each in as few steps as show it."""

import asyncio
import os

import pytest

from syncd.core.errors import Transient
from syncd.core.model import FoundFile
from syncd.core.retry import Policy
from syncd.core.states import Cause
from tests.upload.fakes import Bench, FakeRemote
from tests.upload.test_worker import in_simulation


@pytest.mark.unix
@in_simulation
async def test_a_twin_may_have_any_name(tmp_path):
    async with Bench(tmp_path) as bench:
        data = os.urandom(50_000)
        names = [bench.write(name, data) for name in ("\udcff\n.jpg", "\udcfe.jpg")]
        await bench.queue(*names)
        await bench.settle(done=2)
        details = [step.detail for name in names for step in await bench.store.history((await bench.job(name)).id)]
        assert any(r"uploaded as \xf" in (detail or "") for detail in details)


@in_simulation
async def test_a_job_that_is_queued_again_may_start_before_its_last_run_has_wound_up(tmp_path):
    errors = []
    async with Bench(tmp_path) as bench:
        bench.loop.set_exception_handler(lambda _, context: errors.append(context))
        remember, bench.remote.capabilities = bench.store.save_capabilities, {"learned": 1}

        async def slow_remember(*about):
            await remember(*about)
            await asyncio.sleep(10)  # the run before is still at it when the job is claimed again

        bench.store.save_capabilities = slow_remember
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send") > 5)
        await bench.drop("a.jpg", os.urandom(50_000))
        await bench.settle(done=1)
        assert bench.worker.progress()
        await bench.worker.drain()
        assert not bench.worker.progress()
    assert not errors


@in_simulation
async def test_a_file_that_became_unfit_while_it_was_uploaded_is_skipped(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send") > 5)
        await bench.drop("a.jpg", b"")
        await bench.settle(skipped=1)
        job = await bench.job("a.jpg")
        assert (job.cause, job.detail) == (Cause.UNFIT, "empty")
        await bench.store.retry([job.id])  # a person may try it all the same
        await bench.settle(queued=0, uploading=0)
        assert (await bench.job("a.jpg")).detail == "empty"
        assert bench.remote.count("begin") == 1


@in_simulation
async def test_a_clock_that_is_set_back_keeps_no_job_waiting(tmp_path):
    failures = [Transient("once")]
    async with Bench(tmp_path, policy=Policy(initial=60, maximum=60)) as bench:
        bench.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await bench.drop("a.jpg", b"a")
        await bench.settle(waiting=1)
        bench.jumped = -86_400.0
        asked = bench.loop.now
        await bench.settle(done=1)
        assert bench.loop.now - asked < 120


@in_simulation
async def test_nor_one_whose_lane_is_another_by_then(tmp_path):
    failures = [Transient("once")]
    async with Bench(tmp_path, policy=Policy(initial=60, maximum=60)) as bench:
        bench.remote.fail = lambda call, *about: failures.pop() if call == "begin" and failures else None
        await bench.drop("a.jpg", b"a")
        await bench.settle(waiting=1)
        await bench.scheduler.remove("fake")
        bench.jumped = -86_400.0
        asked = bench.loop.now
        bench.worker = bench.make_worker()  # as after a reload
        bench.scheduler.add(bench.worker)
        await bench.settle(done=1)
        assert bench.loop.now - asked < 120


@in_simulation
async def test_a_job_that_is_cut_off_before_it_began_is_released(tmp_path):
    async with Bench(tmp_path) as bench:
        claim = bench.store.claim

        async def claim_and_stop(*about, **values):
            jobs = await claim(*about, **values)
            if jobs:
                stops.append(asyncio.create_task(bench.scheduler.pause(now=True)))
            return jobs

        stops = []
        bench.store.claim = claim_and_stop
        await bench.drop("a.jpg", b"a")
        await bench.until(lambda: stops)
        await asyncio.gather(*stops)
        await bench.settle(queued=1)


@pytest.mark.unix
@in_simulation
async def test_what_is_no_file_any_more_is_not_called_empty(tmp_path):
    async with Bench(tmp_path) as bench:
        path = bench.inbox / "a.jpg"
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send") > 5)
        path.unlink()
        os.mkfifo(path)
        pipe = FoundFile(path="a.jpg", fingerprint=None, unfit="not a regular file")
        await bench.store.observe(str(bench.inbox), [pipe], [bench.remote_id], is_gone=lambda *_: False)
        await bench.settle(skipped=1)
        assert (await bench.job("a.jpg")).detail == "not a regular file"


@in_simulation
async def test_a_stop_does_not_wait_for_a_full_disk_to_wake_a_twin(tmp_path):
    async with Bench(tmp_path, FakeRemote(latency=60)) as bench:
        data = os.urandom(10_000)
        await bench.queue(*(bench.write(name, data) for name in ("a.jpg", "b.jpg")))
        await bench.settle(waiting=1, uploading=1)
        freed = asyncio.Event()

        async def wake(*about):
            await freed.wait()

        bench.store.wake = wake
        before = bench.loop.now
        await bench.scheduler.close()
        assert bench.loop.now - before < 5
        freed.set()


@in_simulation
async def test_what_was_claimed_for_a_lane_that_went_meanwhile_goes_back(tmp_path):
    async with Bench(tmp_path) as bench:
        claim, freed = bench.store.claim, asyncio.Event()

        async def slow_claim(*about, **values):
            jobs = await claim(*about, **values)
            await freed.wait()  # as behind a full disk
            return jobs

        bench.store.claim = slow_claim
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.settle(uploading=1)
        await bench.scheduler.remove("fake")
        freed.set()
        async with asyncio.timeout(60):
            await bench.settle(queued=1, uploading=0)


@in_simulation
async def test_a_reload_may_change_the_lanes_while_a_stop_waits_for_them(tmp_path):
    async with Bench(tmp_path, FakeRemote(latency=1)) as bench:
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send"))
        stopping = asyncio.create_task(bench.scheduler.pause(now=False))
        await asyncio.sleep(0)
        await bench.scheduler.remove("fake")
        await stopping
