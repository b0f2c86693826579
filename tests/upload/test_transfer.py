"""A server that takes its time to put the chunks together, in simulated time."""

import os

from syncd.core.model import ChunkResult, Pending, Stored
from syncd.core.states import Cause, State
from syncd.upload.transfer import ASSEMBLY_TIMEOUT_SECONDS, MAX_POLL_SECONDS
from tests.upload.fakes import Bench, FakeRemote
from tests.upload.test_worker import in_simulation


class SlowRemote(FakeRemote):
    """Puts a file together only after it was asked for it ``patience`` times."""

    patience = 10

    async def finish(self, session, content, source):
        self.stored = await super().finish(session, content, source)
        return Pending(token="task")

    async def poll(self, pending, content):
        async with self._request("poll"):
            assert pending == Pending(token="task")
            return self.stored if self.count("poll") >= self.patience else pending


@in_simulation
async def test_it_is_asked_ever_more_seldom_until_it_has_the_file(tmp_path):
    async with Bench(tmp_path, SlowRemote()) as bench:
        began = bench.loop.now
        await bench.drop("a.jpg", os.urandom(2500))
        await bench.settle(done=1)
        assert bench.remote.count("poll") == 10
        assert 5 * MAX_POLL_SECONDS < bench.loop.now - began < 10 * MAX_POLL_SECONDS
        assert bench.worker.endpoint.limiter.in_flight == 0


@in_simulation
async def test_a_server_that_never_ends_is_given_up_for_this_try(tmp_path):
    async with Bench(tmp_path, SlowRemote()) as bench:
        bench.remote.patience = 10**6
        await bench.drop("a.jpg", os.urandom(2500))
        await bench.settle(waiting=1)
        job = await bench.job("a.jpg")
        assert "still assembling the file" in job.detail
        assert (
            ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS
            <= bench.remote.count("poll")
            <= ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS + 10
        )


@in_simulation
async def test_a_stop_does_not_wait_for_it(tmp_path):
    async with Bench(tmp_path, SlowRemote()) as bench:
        bench.remote.patience = 10**6
        await bench.drop("a.jpg", os.urandom(2500))
        await bench.until(lambda: bench.remote.count("poll") == 3)
        bench.worker.pause()
        began = bench.loop.now
        await bench.worker.drain()
        assert bench.loop.now - began <= MAX_POLL_SECONDS + 1
        job = await bench.job("a.jpg")
        assert (job.state, job.cause) == (State.QUEUED, Cause.RELEASED)


class DoubtfulRemote(FakeRemote):
    """Says of the chunks in ``there`` that it had them before, and of the one in ``enough`` that it has all now."""

    there = ()
    enough = None

    async def send(self, session, index, content, source):
        await super().send(session, index, content, source)
        if index == self.enough:
            return ChunkResult(stored=Stored(ref=content.key))
        return ChunkResult(needs_verification=index in self.there)

    async def finish(self, session, content, source):
        self.needs_verification = session.needs_verification
        return await super().finish(session, content, source)


@in_simulation
async def test_a_chunk_that_was_there_before_is_a_doubt_that_a_restart_does_not_forget(tmp_path):
    async with Bench(tmp_path, DoubtfulRemote(), concurrency=1) as bench:
        bench.remote.there = (1,)
        await bench.drop("a.jpg", os.urandom(5000))
        await bench.until(lambda: bench.remote.count("send") == 4)
        bench.worker.pause()
        await bench.worker.drain()
        bench.remote.there = ()
        bench.worker.resume()
        await bench.settle(done=1)
        assert bench.remote.needs_verification
        assert bench.remote.count("send") == 5


@in_simulation
async def test_a_server_that_has_all_before_the_last_chunk_is_sent_no_more(tmp_path):
    async with Bench(tmp_path, DoubtfulRemote(), concurrency=1) as bench:
        bench.remote.enough = 2
        await bench.drop("a.jpg", os.urandom(9000))
        await bench.settle(done=1)
        assert bench.remote.count("send") == 3
        assert bench.remote.count("finish") == 0
