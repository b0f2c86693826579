"""A server that takes its time to put the chunks together, in simulated time."""

import os

from syncd.core.model import ChunkResult, Pending, Stored
from syncd.core.states import Cause, State
from syncd.upload.transfer import ASSEMBLY_TIMEOUT_SECONDS, MAX_POLL_SECONDS
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness
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
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        began = harness.loop.now
        await harness.add_file("a.jpg", os.urandom(2500))
        await harness.wait_for_states(done=1)
        assert harness.remote.count("poll") == 10
        assert 5 * MAX_POLL_SECONDS < harness.loop.now - began < 10 * MAX_POLL_SECONDS
        assert harness.worker.endpoint.limiter.in_flight == 0


@in_simulation
async def test_a_server_that_never_ends_is_given_up_for_this_try(tmp_path):
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        harness.remote.patience = 10**6
        await harness.add_file("a.jpg", os.urandom(2500))
        await harness.wait_for_states(waiting=1)
        job = await harness.job("a.jpg")
        assert "still assembling the file" in job.detail
        assert (
            ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS
            <= harness.remote.count("poll")
            <= ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS + 10
        )


@in_simulation
async def test_a_stop_does_not_wait_for_it(tmp_path):
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        harness.remote.patience = 10**6
        await harness.add_file("a.jpg", os.urandom(2500))
        await harness.wait_until(lambda: harness.remote.count("poll") == 3)
        harness.worker.pause()
        began = harness.loop.now
        await harness.worker.drain()
        assert harness.loop.now - began <= MAX_POLL_SECONDS + 1
        job = await harness.job("a.jpg")
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
    async with UploadHarness(tmp_path, DoubtfulRemote(), concurrency=1) as harness:
        harness.remote.there = (1,)
        await harness.add_file("a.jpg", os.urandom(5000))
        await harness.wait_until(lambda: harness.remote.count("send") == 4)
        harness.worker.pause()
        await harness.worker.drain()
        harness.remote.there = ()
        harness.worker.resume()
        await harness.wait_for_states(done=1)
        assert harness.remote.needs_verification
        assert harness.remote.count("send") == 5


@in_simulation
async def test_a_server_that_has_all_before_the_last_chunk_is_sent_no_more(tmp_path):
    async with UploadHarness(tmp_path, DoubtfulRemote(), concurrency=1) as harness:
        harness.remote.enough = 2
        await harness.add_file("a.jpg", os.urandom(9000))
        await harness.wait_for_states(done=1)
        assert harness.remote.count("send") == 3
        assert harness.remote.count("finish") == 0
