import asyncio
from itertools import pairwise

from structlog.testing import capture_logs

from syncd.core.errors import Scope, Transient, Unauthorized
from syncd.upload.idle_check import IDLE_SECONDS
from syncd.upload.worker import RemoteState
from tests.upload.harness import UploadHarness, in_simulation

DOWN = Transient("connection refused", scope=Scope.REMOTE)
SHORTEST, LONGEST = IDLE_SECONDS


async def idle(harness):
    """Wait until a file is uploaded and the daemon has nothing more to do."""
    await harness.add_file("a.jpg", b"a")
    await harness.wait_for_states(done=1)


@in_simulation
async def test_idle_check_reports_server_that_went_down(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        assert harness.worker.state is RemoteState.ONLINE
        harness.remote.fail = lambda call, *about: DOWN
        stopped = harness.clock()
        with capture_logs() as logged:
            await asyncio.sleep(LONGEST + 1)
        status = harness.worker.status()
        assert status.state is RemoteState.OFFLINE
        assert SHORTEST <= status.since - stopped <= LONGEST + 1
        assert status.last_ok_at <= stopped
        assert [event["event"] for event in logged] == ["remote.offline"]
        harness.remote.fail = lambda call, *about: None
        await harness.wait_until(lambda: harness.worker.state is RemoteState.ONLINE)
        back = harness.clock()
        await asyncio.sleep(0.1)
        assert harness.worker.status().since >= back - 1
        assert harness.worker.status().last_ok_at >= back - 1


@in_simulation
async def test_idle_check_reports_invalid_token(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        harness.remote.fail = lambda call, *about: Unauthorized("invalid token")
        await asyncio.sleep(LONGEST + 1)
        assert harness.worker.state is RemoteState.UNAUTHORIZED


@in_simulation
async def test_idle_check_repeats_at_varying_intervals(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        checks = []
        harness.remote.fail = lambda call, *about: checks.append(harness.loop.now)
        await asyncio.sleep(10 * LONGEST)
        pauses = [after - before for before, after in pairwise(checks)]
        assert 9 <= len(pauses) <= 10 * LONGEST / SHORTEST
        assert all(SHORTEST <= pause <= LONGEST + 1 for pause in pauses)
        assert len({round(pause) for pause in pauses}) > 3


@in_simulation
async def test_idle_check_waits_while_requests_succeed(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        before = harness.remote.count("check")
        for number in range(10):
            await asyncio.sleep(SHORTEST - 1)
            await harness.add_file(f"{number}.jpg", b"%d" % number)
        assert harness.remote.count("check") == before


@in_simulation
async def test_idle_check_sends_nothing_while_paused(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        harness.worker.pause()
        before = len(harness.remote.calls)
        await asyncio.sleep(3 * LONGEST)
        assert len(harness.remote.calls) == before


@in_simulation
async def test_idle_check_in_progress_delays_no_upload(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await idle(harness)
        harness.remote.latency, before = 50, harness.remote.count("check")
        await harness.wait_until(lambda: harness.remote.count("check") > before)
        harness.remote.latency = 0.01
        began = harness.loop.now
        await harness.add_file("b.jpg", b"b")
        await harness.wait_for_states(done=2)
        assert harness.loop.now - began < 5
