"""A server that takes its time to put the chunks together, in simulated time."""

import os

from syncd.core.model import Pending
from syncd.core.states import Cause, State
from syncd.engine.upload import POLL_MOST, POLL_TOTAL
from tests.engine.fakes import Bench, FakeRemote
from tests.engine.test_lane import in_simulation


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
        assert 5 * POLL_MOST < bench.loop.now - began < 10 * POLL_MOST
        assert bench.lane.line.gate.in_flight == 0


@in_simulation
async def test_a_server_that_never_ends_is_given_up_for_this_try(tmp_path):
    async with Bench(tmp_path, SlowRemote()) as bench:
        bench.remote.patience = 10**6
        await bench.drop("a.jpg", os.urandom(2500))
        await bench.settle(waiting=1)
        job = await bench.job("a.jpg")
        assert "still putting the file together" in job.detail
        assert POLL_TOTAL / POLL_MOST <= bench.remote.count("poll") <= POLL_TOTAL / POLL_MOST + 10


@in_simulation
async def test_a_stop_does_not_wait_for_it(tmp_path):
    async with Bench(tmp_path, SlowRemote()) as bench:
        bench.remote.patience = 10**6
        await bench.drop("a.jpg", os.urandom(2500))
        await bench.until(lambda: bench.remote.count("poll") == 3)
        bench.lane.pause()
        began = bench.loop.now
        await bench.lane.drain()
        assert bench.loop.now - began <= POLL_MOST + 1
        job = await bench.job("a.jpg")
        assert (job.state, job.cause) == (State.QUEUED, Cause.RELEASED)
