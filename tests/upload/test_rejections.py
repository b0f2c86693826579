"""What one file's requests meet and the server as a whole does not, in simulated time."""

import asyncio
import os

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Permanent, Scope, Transient
from syncd.core.model import Session
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness
from tests.upload.test_worker import in_simulation

PAGE = Transient("host answered with an HTML page", scope=Scope.REMOTE, if_reachable=Scope.FILE)
DEADLINE = 120.0
"""Simulated seconds."""
REJECTED = Permanent("host answered 400: Bad Request")


def bad_files(call, *about):
    return PAGE if str(about[:1]).startswith("('bad") else None


@in_simulation
async def test_files_that_get_a_page_do_not_take_the_server_offline(tmp_path):
    """More of them than the failures that open the breaker, queued before all others."""
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE):
        harness.remote.fail = bad_files
        bad = [harness.write(f"bad-{number}.svg", os.urandom(100)) for number in range(7)]
        good = [harness.write(f"good-{number}.jpg", os.urandom(100)) for number in range(20)]
        await harness.queue(*bad, *good)
        began = harness.loop.now
        for name in bad:
            while not (job := await harness.job(name)).detail:
                assert not harness.worker.endpoint.down
                await asyncio.sleep(0.01)
            assert "HTML page" in job.detail
        await harness.wait_until(lambda: len(harness.remote.complete) == 20)
        assert harness.loop.now - began < 60
        assert harness.worker.endpoint.breaker.failures == 0


@in_simulation
async def test_a_page_for_every_request_is_the_servers_own_trouble(tmp_path):
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE):
        harness.remote.fail = lambda call, *about: PAGE
        await harness.add_file("a.jpg", os.urandom(100))
        await harness.wait_until(lambda: harness.remote.count("check") >= 4)
        assert harness.worker.endpoint.down
        harness.remote.fail = lambda call, *about: None
        await harness.wait_for_states(done=1)


@in_simulation
async def test_the_probe_that_confirms_a_failure_may_ask_for_time(tmp_path):
    """What the server asks for there holds, though the failure that led to the probe asked for nothing."""
    busy = Transient("host answered 503", scope=Scope.REMOTE, retry_after=50.0, overload=True)
    async with UploadHarness(tmp_path) as harness, asyncio.timeout(DEADLINE):

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


class Forgetful(FakeRemote):
    """Rejects the chunks of sessions that it does not know with 400, and takes up any session unasked."""

    async def begin(self, content, source, session, *, failures, look_up=False):
        if session is not None:
            return session
        return await super().begin(content, source, session, failures=failures)

    async def send(self, session, index, content, source):
        if session.token not in self.sessions:
            async with self._request("send", source.name, index):
                raise REJECTED
        return await super().send(session, index, content, source)


async def remember(harness, data, *, name="a.jpg"):
    """Leave a session in the store that the server has forgotten."""
    hasher = harness.remote.hasher()
    hasher.update(data)
    forgotten = Session(token="forgotten", chunk_size=1000, count=5, received=ChunkSet([0, 1]))
    key = hasher.content().key
    await harness.store.save_session(harness.remote_id, key, forgotten)
    return key


@in_simulation
async def test_a_rejection_on_a_remembered_session_begins_a_new_one(tmp_path):
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, Forgetful()) as harness, asyncio.timeout(DEADLINE):
        await remember(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(done=1)
        assert list(harness.remote.complete.values()) == [data]
        assert harness.remote.count("begin") == 1


@in_simulation
async def test_a_rejection_on_a_new_session_is_final_and_drops_it(tmp_path):
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, Forgetful()) as harness, asyncio.timeout(DEADLINE):
        harness.remote.fail = lambda call, *about: REJECTED if call == "send" else None
        key = await remember(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(failed=1)
        assert harness.remote.count("begin") == 1
        assert await harness.store.session(harness.remote_id, key) is None


@in_simulation
async def test_giving_up_drops_the_session_so_that_a_retry_begins_a_new_one(tmp_path):
    """A server that has forgotten a session and calls that an error of its own."""
    data = os.urandom(5000)
    async with UploadHarness(tmp_path, Forgetful()) as harness, asyncio.timeout(100 * DEADLINE):
        harness.remote.fail = lambda call, *about: Transient("500") if call == "send" else None
        key = await remember(harness, data)
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(failed=1)
        assert await harness.store.session(harness.remote_id, key) is None
        harness.remote.fail = lambda call, *about: None
        await harness.store.retry([(await harness.job("a.jpg")).id])
        await harness.wait_for_states(done=1)
