"""Tests of failures that concern one file and not the whole server, in simulated time."""

import asyncio
import os
from functools import partial

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Permanent, Scope, Transient
from syncd.core.model import Session
from tests.support.records import session_of
from tests.support.wait import wait_until
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness, in_simulation

PAGE = Transient("host answered with an HTML page", scope=Scope.REMOTE, if_reachable=Scope.FILE)
DEADLINE_SECONDS = 120.0
"""Simulated seconds."""
REJECTED = Permanent("host answered 400: Bad Request")


def bad_files(call, *about):
    return PAGE if str(about[:1]).startswith("('bad") else None


@in_simulation
async def test_page_for_some_files_keeps_remote_online(tmp_path):
    """More files fail than the breaker needs to open, and they are queued first."""
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE_SECONDS):
        harness.remote.fail = bad_files
        bad = [harness.write(f"bad-{number}.svg", os.urandom(100)) for number in range(7)]
        good = [harness.write(f"good-{number}.jpg", os.urandom(100)) for number in range(20)]
        await harness.queue(*bad, *good)
        began = harness.loop.now

        async def detail(name):
            assert not harness.worker.endpoint.down
            return (await harness.job(name)).detail

        for name in bad:
            assert "HTML page" in await wait_until(partial(detail, name))
        await harness.wait_until(lambda: len(harness.remote.complete) == 20)
        assert harness.loop.now - began < 60
        assert harness.worker.endpoint.breaker.failures == 0


@in_simulation
async def test_page_for_every_request_takes_remote_offline(tmp_path):
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE_SECONDS):
        harness.remote.fail = lambda call, *about: PAGE
        await harness.add_file("a.jpg", os.urandom(100))
        await harness.wait_until(lambda: harness.remote.count("check") >= 4)
        assert harness.worker.endpoint.down
        harness.remote.fail = lambda call, *about: None
        await harness.wait_for_states(done=1)


@in_simulation
async def test_check_with_retry_after_delays_next_probe(tmp_path):
    """The Retry-After of the check applies, although the failure before had none."""
    busy = Transient("host answered 503", scope=Scope.REMOTE, retry_after=50.0, overload=True)
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE_SECONDS):

        def fail(call, *about):
            if call != "check":
                return PAGE
            return busy if harness.remote.count("begin") else None

        harness.remote.fail = fail
        await harness.add_file("a.jpg", os.urandom(100))
        await harness.wait_until(lambda: harness.remote.count("begin") and harness.worker.endpoint.down)
        asked, began = harness.remote.count("check"), harness.loop.now
        await harness.wait_until(lambda: harness.remote.count("check") > asked)
        assert harness.loop.now - began >= 49


class ForgetfulRemote(FakeRemote):
    """Resumes any session without a request, and rejects chunks of unknown sessions with 400."""

    def session_without_request(self, content, source, session, *, failures, look_up=False):
        return session

    async def send(self, session, index, content, source):
        if session.token not in self.sessions:
            async with self._request("send", source.name, index):
                raise REJECTED
        return await super().send(session, index, content, source)


async def save_lost_session(harness, data, *, name="a.jpg"):
    """Save a session that the server does not have."""
    hasher = harness.remote.hasher()
    hasher.update(data)
    forgotten = Session(token="forgotten", chunk_size=1000, count=5, received=ChunkSet([0, 1]))
    key = hasher.content().key
    await harness.store.save_session(harness.remote_id, key, forgotten)
    return key


@in_simulation
async def test_rejected_resumed_session_begins_a_new_one(tmp_path):
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, ForgetfulRemote()) as harness, asyncio.timeout(DEADLINE_SECONDS):
        await save_lost_session(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(done=1)
        assert list(harness.remote.complete.values()) == [data]
        assert harness.remote.count("begin") == 1


@in_simulation
async def test_rejected_new_session_fails_job_and_is_dropped(tmp_path):
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, ForgetfulRemote()) as harness, asyncio.timeout(DEADLINE_SECONDS):
        harness.remote.fail = lambda call, *about: REJECTED if call == "send" else None
        key = await save_lost_session(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(failed=1)
        assert harness.remote.count("begin") == 1
        assert await session_of(harness.store, harness.remote_id, key) is None


@in_simulation
async def test_given_up_job_drops_its_session(tmp_path):
    """The server reports a session that it does not have as an internal error."""
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, ForgetfulRemote()) as harness, asyncio.timeout(100 * DEADLINE_SECONDS):
        harness.remote.fail = lambda call, *about: Transient("500") if call == "send" else None
        key = await save_lost_session(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(failed=1)
        assert await session_of(harness.store, harness.remote_id, key) is None
        harness.remote.fail = lambda call, *about: None
        await harness.store.retry([(await harness.job("a.jpg")).id])
        await harness.wait_for_states(done=1)
