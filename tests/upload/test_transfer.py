"""Tests of a transfer with a server that assembles the chunks slowly, in simulated time."""

import hashlib
import os
from dataclasses import replace

import pytest

from syncd.core.look_ups import MAX_MISSES, SAMPLE_INTERVAL
from syncd.core.model import ChunkResult, Pending, Session, Stored
from syncd.core.states import Cause, State
from syncd.upload.transfer import ASSEMBLY_TIMEOUT_SECONDS, MAX_POLL_SECONDS
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness, in_simulation


class SlowRemote(FakeRemote):
    """Reports a file as assembled only at poll number ``polls``."""

    polls = 10

    def session_without_request(self, content, source, session, **options):
        return session

    async def finish(self, session, content, source):
        async with self._request("finish", source.name):
            assert len(self.sessions[session.token]) == session.count
        return Pending(token="task")

    async def poll(self, pending, content):
        async with self._request("poll"):
            assert pending == Pending(token="task")
            return Stored(ref=content.key) if self.count("poll") >= self.polls else pending


@in_simulation
async def test_transfer_polls_with_growing_pauses_until_assembled(tmp_path):
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        began = harness.loop.now
        await harness.add_file("a.jpg", os.urandom(2500))
        await harness.wait_for_states(done=1)
        assert harness.remote.count("poll") == 10
        assert 5 * MAX_POLL_SECONDS < harness.loop.now - began < 10 * MAX_POLL_SECONDS
        assert harness.worker.endpoint.limiter.in_flight == 0


@in_simulation
async def test_transfer_assembly_timeout_defers_job(tmp_path):
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        harness.remote.polls = 10**6
        await harness.add_file("a.jpg", os.urandom(2500))
        await harness.wait_for_states(waiting=1)
        job = await harness.job("a.jpg")
        assert "still assembling the file" in job.detail
        assert (
            ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS
            <= harness.remote.count("poll")
            <= ASSEMBLY_TIMEOUT_SECONDS / MAX_POLL_SECONDS + 10
        )


@pytest.mark.parametrize("size", [100, 2500], ids=["one chunk", "three chunks"])
@in_simulation
async def test_pause_ends_polling_of_the_assembly(tmp_path, size):
    """The next attempt sends no chunk again, also if the file is a single chunk."""
    async with UploadHarness(tmp_path, SlowRemote()) as harness:
        harness.remote.polls = 10**6
        await harness.add_file("a.jpg", os.urandom(size))
        await harness.wait_until(lambda: harness.remote.count("poll") == 3)
        harness.worker.pause()
        began = harness.loop.now
        await harness.worker.drain()
        assert harness.loop.now - began <= MAX_POLL_SECONDS + 1
        job = await harness.job("a.jpg")
        assert (job.state, job.cause) == (State.QUEUED, Cause.RELEASED)
        sent = harness.remote.count("send")
        harness.remote.polls = 0
        harness.worker.resume()
        await harness.wait_for_states(done=1)
        assert harness.remote.count("send") == sent == -(-size // 1000)


class PartlyStoredRemote(FakeRemote):
    """Had the chunks in ``there`` before; has the complete content after chunk ``enough``."""

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
async def test_transfer_needs_verification_survives_a_pause(tmp_path):
    async with UploadHarness(tmp_path, PartlyStoredRemote(), concurrency=1) as harness:
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
async def test_transfer_stored_before_last_chunk_sends_no_more(tmp_path):
    async with UploadHarness(tmp_path, PartlyStoredRemote(), concurrency=1) as harness:
        harness.remote.enough = 2
        await harness.add_file("a.jpg", os.urandom(9000))
        await harness.wait_for_states(done=1)
        assert harness.remote.count("send") == 3
        assert harness.remote.count("finish") == 0


class DirectRemote(FakeRemote):
    """Takes each file in a single request, unless asked to look the content up."""

    def session_without_request(self, content, source, session, *, failures, look_up=False):
        return None if look_up else Session(token="", chunk_size=content.size, count=1, single_request=True)

    async def send(self, session, index, content, source):
        await super().send(replace(session, token=self.accept(session)), index, content, source)
        self.complete[content.key] = await source.read(0, content.size)
        return ChunkResult(stored=Stored(ref=content.key))

    def accept(self, session):
        token = session.token or "direct"
        self.sessions.setdefault(token, {})
        return token


@in_simulation
async def test_new_small_file_is_sent_without_look_up(tmp_path):
    async with UploadHarness(tmp_path, DirectRemote()) as harness:
        for number in range(20):
            await harness.add_file(f"{number}.jpg", os.urandom(100))
        await harness.wait_for_states(done=20)
        assert (harness.remote.count("begin"), harness.remote.count("send")) == (0, 20)


@in_simulation
async def test_backlog_that_server_has_is_not_sent(tmp_path):
    """As after the loss of a machine: the server has every file, and the store is new."""
    async with UploadHarness(tmp_path, DirectRemote()) as harness:
        for number in range(100):
            data = os.urandom(100)
            harness.write(f"{number}.jpg", data)
            harness.remote.complete[hashlib.sha256(data).hexdigest()] = data
        await harness.queue(*(f"{number}.jpg" for number in range(100)), backlog=True)
        await harness.wait_for_states(done=100)
        assert (harness.remote.count("begin"), harness.remote.count("send")) == (100, 0)


@in_simulation
async def test_backlog_that_server_lacks_soon_ends_look_ups(tmp_path):
    async with UploadHarness(tmp_path, DirectRemote()) as harness:
        for number in range(200):
            harness.write(f"{number}.jpg", os.urandom(100))
        await harness.queue(*(f"{number}.jpg" for number in range(200)), backlog=True)
        await harness.wait_for_states(done=200)
        asked = harness.remote.count("begin")
        assert MAX_MISSES <= asked <= MAX_MISSES + harness.concurrency + 200 // SAMPLE_INTERVAL
        assert harness.remote.count("send") == 200
