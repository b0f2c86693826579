"""Tests of a worker with a remote that fails in many ways, in simulated time."""

import asyncio
import itertools
import os
from dataclasses import replace

import pytest

from syncd.core.breaker import MAX_FAILED_JOBS
from syncd.core.concurrency import FixedLimit
from syncd.core.errors import Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import Session, Stored
from syncd.core.retry import MAX_LOST, MAX_TRIES, Policy
from syncd.core.states import IN_USE, Cause, Outcome, State
from syncd.upload.upload import WATCH_RETRY_SECONDS
from tests.simulation.event_loop import simulated
from tests.support.records import session_of
from tests.upload.fakes import FakeRemote
from tests.upload.harness import UploadHarness, in_simulation

DOWN = Transient("connection refused", scope=Scope.REMOTE)


def only(name, failure):
    """Return a ``fail`` for the requests of one file."""
    return lambda call, *about: failure if about[:1] == (name,) else None


@in_simulation
async def test_worker_uploads_file_in_chunks(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.add_file("a.jpg", os.urandom(4500))
        await harness.wait_for_states(done=1)
        assert [call[0] for call in harness.remote.calls] == ["check", "begin", *["send"] * 5, "finish"]
        job = await harness.job("a.jpg")
        assert (job.outcome, job.ref) == (Outcome.UPLOADED, job.key)
        assert [step.cause for step in await harness.store.history(job.id)] == [
            Cause.FOUND,
            Cause.CLAIMED,
            Cause.UPLOADED,
        ]


@in_simulation
async def test_worker_requests_in_flight_are_bounded(tmp_path):
    async with UploadHarness(tmp_path, concurrency=3) as harness:
        for number in range(20):
            harness.write(f"{number}.jpg", os.urandom(5000))
        await harness.queue(*(f"{number}.jpg" for number in range(20)))
        await harness.wait_for_states(done=20)
        assert harness.remote.most_in_flight == 3


@in_simulation
async def test_worker_apply_changes_only_what_is_given(tmp_path):
    async with UploadHarness(tmp_path, concurrency=3) as harness:
        endpoint = harness.worker.endpoint
        harness.worker.apply(Policy(initial=7))
        assert (endpoint.breaker.policy.initial, endpoint.limiter.capacity) == (7, 3)
        harness.worker.apply(Policy(initial=8), FixedLimit(5))
        assert (endpoint.breaker.policy.initial, endpoint.limiter.capacity) == (8, 5)


@pytest.mark.parametrize("large", [1, 4])
def test_worker_small_file_is_not_delayed_by_large_files(tmp_path, large):
    async def run():
        async with UploadHarness(tmp_path, concurrency=1) as harness:
            await harness.queue(*(harness.write(f"{number}.tif", os.urandom(100_000)) for number in range(large)))
            await harness.wait_until(lambda: harness.remote.count("send") > 10)
            await harness.add_file("small.jpg", b"small")
            await harness.wait_until(lambda: b"small" in harness.remote.complete.values())
            assert harness.remote.count("send") < 40
            await harness.wait_for_states(done=large + 1)

    simulated(run())


@in_simulation
async def test_worker_sends_equal_contents_once(tmp_path):
    """The equal files are queued at the same time, and later."""
    data = os.urandom(50_000)
    async with UploadHarness(tmp_path) as harness:
        names = [harness.write(f"{number}.jpg", data) for number in range(5)]
        await harness.queue(*names)
        await harness.wait_for_states(done=5)
        await harness.add_file("later.jpg", data)
        await harness.wait_for_states(done=6)
        assert harness.remote.count("send") == 50
        assert harness.remote.count("begin") == 1
        outcomes = [(await harness.job(name)).outcome for name in [*names, "later.jpg"]]
        assert sorted(outcomes) == [Outcome.DUPLICATE] * 5 + [Outcome.UPLOADED]
        assert harness.loop.now < 1000 + 30  # waiting jobs are woken when the leader ends


@in_simulation
async def test_worker_content_lost_by_server_is_sent_again(tmp_path):
    """For example because the content has expired."""
    data = os.urandom(5000)
    async with UploadHarness(tmp_path) as harness:
        await harness.add_file("a.jpg", data)
        await harness.wait_for_states(done=1)
        harness.remote.complete.clear()
        await harness.add_file("copy.jpg", data)
        await harness.wait_for_states(done=2)
        assert list(harness.remote.complete.values()) == [data]
        assert (await harness.job("copy.jpg")).outcome is Outcome.UPLOADED


@in_simulation
async def test_worker_failed_check_after_upload_keeps_job_done(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        real = harness.remote.finish

        async def finish(session, content, source):
            return replace(await real(session, content, source), trouble=DOWN)

        harness.remote.finish = finish
        await harness.add_file("a.jpg", os.urandom(100))
        await harness.wait_for_states(done=1)
        assert harness.worker.endpoint.breaker.reason is DOWN
        assert harness.remote.count("finish") == 1


@in_simulation
async def test_worker_server_down_gets_one_probe_per_backoff(tmp_path):
    async with UploadHarness(tmp_path, policy=Policy(initial=1, maximum=60)) as harness:
        names = [harness.write(f"{number}.jpg", os.urandom(100)) for number in range(200)]
        harness.remote.fail = lambda call, *about: DOWN
        await harness.queue(*names)
        await harness.wait_until(lambda: harness.worker.endpoint.down)
        started, asked = harness.loop.now, len(harness.remote.calls)
        assert asked == 1
        await asyncio.sleep(1800)
        probes = harness.remote.calls[asked:]
        assert {call[0] for call in probes} == {"check"}
        # Full jitter: a period is 30 s in the mean once the bound is reached; never two probes at once.
        assert 1800 / 60 <= len(probes) <= 1800 / 30 * 1.5 + 10
        assert harness.worker.state == "offline"
        assert (await harness.store.counts([harness.remote_id])).jobs[State.QUEUED] == 200

        harness.remote.fail = lambda call, *about: None
        await harness.wait_for_states(done=200)
        assert harness.loop.now - started < 1800 + 60 + 120
        jobs = await harness.store.jobs([harness.remote_id], limit=500)
        assert {job.failures for job in jobs} == {0}


@in_simulation
async def test_worker_server_that_breaks_uploads_counts_as_down(tmp_path):
    """A file in a single request begins without one, which must not count as a success."""
    remote = DirectRemote()
    remote.fail = lambda call, *about: Transient("the connection was lost") if call == "send" else None
    async with UploadHarness(tmp_path, remote) as harness:
        for number in range(100):
            harness.write(f"{number}.jpg", b"%d" % number)
        await harness.queue(*(f"{number}.jpg" for number in range(100)))
        await harness.wait_until(lambda: harness.worker.endpoint.down)
        await asyncio.sleep(10)
        assert remote.count("send") <= (remote.count("check") + 1) * MAX_FAILED_JOBS


class DirectRemote(FakeRemote):
    """Sends each file in a single request."""

    def session_without_request(self, content, source, session, *, failures, look_up=False):
        return Session(token="", chunk_size=content.size, count=1, single_request=True)


@in_simulation
async def test_worker_half_open_sends_one_request_at_a_time(tmp_path):
    async with UploadHarness(tmp_path, concurrency=8) as harness:
        names = [harness.write(f"{number}.jpg", os.urandom(5000)) for number in range(30)]
        harness.remote.fail = lambda call, *about: DOWN if call != "check" else None
        await harness.queue(*names)
        await harness.wait_until(lambda: harness.worker.endpoint.down)
        asked = len(harness.remote.calls)
        harness.remote.most_in_flight = 0
        await asyncio.sleep(600)
        assert harness.remote.most_in_flight == 1
        assert len(harness.remote.calls) > asked
        harness.remote.fail = lambda call, *about: None
        await harness.wait_for_states(done=30)
        assert harness.remote.most_in_flight == 8


@in_simulation
async def test_worker_waits_for_retry_after(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        busy = Transient("busy", scope=Scope.REMOTE, retry_after=300, overload=True)
        harness.remote.fail = lambda call, *about: busy
        await harness.add_file("a.jpg", b"a")
        await harness.wait_until(lambda: harness.worker.endpoint.down)
        harness.remote.fail = lambda call, *about: None
        asked = len(harness.remote.calls)
        await asyncio.sleep(298)
        assert len(harness.remote.calls) == asked
        await harness.wait_for_states(done=1)


@in_simulation
async def test_worker_rejected_file_fails_with_server_message(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = only("bad.jpg", Permanent("quota exceeded"))
        for name in ("a.jpg", "bad.jpg", "b.jpg"):
            await harness.add_file(name, name.encode())
        await harness.wait_for_states(done=2, failed=1)
        assert (await harness.job("bad.jpg")).detail == "quota exceeded"
        harness.remote.fail = lambda call, *about: None
        await harness.store.retry()
        await harness.wait_for_states(done=3)


@in_simulation
async def test_worker_progress_resets_failure_count(tmp_path):
    """The connection breaks at every third chunk, far more often than a file may fail."""
    sent = itertools.count()
    async with UploadHarness(tmp_path, concurrency=1) as harness:
        harness.remote.fail = lambda call, *_: Transient("reset") if call == "send" and next(sent) % 3 == 2 else None
        await harness.add_file("large.tif", os.urandom(100_000))
        await harness.wait_for_states(done=1)
        assert harness.remote.count("begin") > 3 * MAX_TRIES


@in_simulation
async def test_worker_gives_up_file_after_max_tries(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = only("bad.jpg", Transient("500"))
        await harness.add_file("bad.jpg", b"bad")
        number = 0
        while (await harness.job("bad.jpg")).state is not State.FAILED:
            await harness.add_file(f"{number}.jpg", os.urandom(10))  # the server accepts other files
            number += 1
            await asyncio.sleep(50)
        assert harness.remote.calls.count(("begin", "bad.jpg")) == MAX_TRIES
        job = await harness.job("bad.jpg")
        assert job.detail == f"500 (tried {MAX_TRIES} times)"


@in_simulation
async def test_worker_rejected_token_fails_no_job(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = lambda call, *about: Unauthorized("the token is not accepted")
        await harness.add_file("a.jpg", b"a")
        await asyncio.sleep(7200)
        assert harness.worker.state == "unauthorized"
        assert (await harness.job("a.jpg")).state is State.QUEUED
        harness.remote.fail = lambda call, *about: None
        harness.worker.resume()
        await harness.wait_for_states(done=1)


@in_simulation
async def test_worker_lost_session_is_retried_a_few_times(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = lambda call, *about: SessionLost("unknown session") if call == "finish" else None
        await harness.add_file("a.jpg", os.urandom(3000))
        await harness.wait_for_states(failed=1)
        assert harness.remote.count("begin") == 2 * MAX_LOST
        assert await session_of(harness.store, harness.remote_id, (await harness.job("a.jpg")).key or "") is None


@in_simulation
async def test_worker_saves_learned_capabilities_and_retries(tmp_path):
    remote = FakeRemote(chunk_size=100_000)

    def too_large(call, *about):
        if call == "send" and remote.block_size > 1000:
            remote.block_size //= 2
            remote.capabilities["largest"] = remote.block_size
            return SessionLost("smaller, please")
        return None

    remote.fail = too_large
    async with UploadHarness(tmp_path, remote) as harness:
        await harness.add_file("a.jpg", os.urandom(100_000))
        await harness.wait_for_states(done=1)
        record = await harness.store.register_remote("fake", remote.identity)
        assert record.capabilities == {"largest": remote.block_size}


@in_simulation
async def test_worker_resends_only_the_failed_chunk(tmp_path):
    failures = [Transient("reset"), Transient("reset")]
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = lambda call, *about: failures.pop() if about[1:] == (3,) and failures else None
        await harness.add_file("a.jpg", os.urandom(10_000))
        await harness.wait_for_states(done=1)
        sent = [about[1] for call, *about in harness.remote.calls if call == "send"]
        assert sorted(sent) == sorted([*range(10), 3, 3])


@in_simulation
async def test_worker_pause_stops_at_chunk_boundary(tmp_path):
    async with UploadHarness(tmp_path, concurrency=2) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 10)
        await harness.scheduler.pause(now=False)
        sent = harness.remote.count("send")
        assert harness.remote.in_flight == 0
        assert (await harness.job("a.jpg")).state is State.QUEUED
        await asyncio.sleep(1000)
        assert harness.remote.count("send") == sent
        harness.scheduler.resume()
        await harness.wait_for_states(done=1)
        assert harness.remote.count("send") == 30


@in_simulation
async def test_scheduler_pause_now_cancels_requests(tmp_path):
    async with UploadHarness(tmp_path, FakeRemote(latency=5)) as harness:
        await harness.add_file("a.jpg", os.urandom(30_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 1)
        before = harness.loop.now
        await harness.scheduler.pause(now=True)
        assert harness.loop.now - before < 1
        assert harness.remote.in_flight == 0
        assert (await harness.job("a.jpg")).state is State.QUEUED


@in_simulation
async def test_worker_restart_sends_only_missing_chunks(tmp_path):
    remote = FakeRemote()
    data = os.urandom(50_000)
    async with UploadHarness(tmp_path, remote) as harness:
        await harness.add_file("a.jpg", data)
        await harness.wait_until(lambda: remote.count("send") > 20)
    async with UploadHarness(tmp_path, remote) as harness:
        await harness.wait_for_states(done=1)
        assert remote.count("send") == 50
        assert list(remote.complete.values()) == [data]


@in_simulation
async def test_worker_file_changed_during_upload_starts_again(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        size = 3 * 1024 * 1024
        harness.remote.block_size = 64 * 1024
        await harness.add_file("a.jpg", os.urandom(size))
        await harness.wait_until(lambda: harness.remote.count("send") > 10)
        new = os.urandom(size)
        harness.write("a.jpg", new)
        await harness.wait_for_states(waiting=1)
        assert harness.rechecked == ["a.jpg"]
        await harness.queue("a.jpg")  # as the watch does
        await harness.wait_for_states(done=1)
        assert list(harness.remote.complete.values()) == [new]


@pytest.mark.unix
@in_simulation
async def test_worker_file_changed_after_read_is_uploaded_twice(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        old, new = os.urandom(30_000), os.urandom(30_000)
        await harness.add_file("a.jpg", old)  # small enough to be sent from memory
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        (tmp_path / "new").write_bytes(new)
        (tmp_path / "new").replace(harness.inbox / "a.jpg")
        await harness.queue("a.jpg")
        await harness.wait_for_states(done=1)
        assert list(harness.remote.complete.values()) == [old, new]


@in_simulation
async def test_worker_missing_file_is_skipped(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.scheduler.pause(now=True)
        await harness.add_file("a.jpg", b"a")
        (harness.inbox / "a.jpg").unlink()
        harness.scheduler.resume()
        await harness.wait_for_states(skipped=1)
        assert "removed" in (await harness.job("a.jpg")).detail


@in_simulation
async def test_worker_cancelled_job_stops_and_is_skipped(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await harness.add_file("a.jpg", os.urandom(100_000))
        await harness.wait_until(lambda: harness.remote.count("send") > 5)
        job = await harness.job("a.jpg")
        assert await harness.store.cancel([job.id]) == [job.id]
        await harness.scheduler.cancel({job.id})
        sent = harness.remote.count("send")
        await asyncio.sleep(1000)
        assert harness.remote.count("send") == sent
        assert (await harness.job("a.jpg")).state is State.SKIPPED
        await harness.store.retry([job.id])
        await harness.wait_for_states(done=1)


@in_simulation
async def test_worker_bug_with_one_file_keeps_others_running(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.remote.fail = only("bad.jpg", ZeroDivisionError("oops"))
        await harness.add_file("bad.jpg", b"bad")
        await harness.add_file("good.jpg", b"good")
        await harness.wait_for_states(done=1, waiting=1)
        assert (await harness.job("bad.jpg")).detail == "internal error: ZeroDivisionError; see the log"


@in_simulation
async def test_worker_content_known_to_server_is_duplicate(tmp_path):
    class KnowingRemote(FakeRemote):
        async def begin(self, content, source, session, *, failures, look_up=False):
            return Stored(ref="there", already=True)

    async with UploadHarness(tmp_path, KnowingRemote()) as harness:
        await harness.add_file("a.jpg", b"a")
        await harness.wait_for_states(done=1)
        assert (await harness.job("a.jpg")).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize("size", [1, 999, 1000, 1001])
def test_worker_uploads_boundary_sizes(tmp_path, size):
    async def run():
        async with UploadHarness(tmp_path) as harness:
            data = os.urandom(size)
            await harness.add_file("a.jpg", data)
            await harness.wait_for_states(done=1)
            assert list(harness.remote.complete.values()) == [data]

    simulated(run())


@in_simulation
async def test_worker_file_in_use_waits_without_a_failure(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.write("a.jpg", b"content")
        with (harness.inbox / "a.jpg").open("r+b"):
            await harness.queue("a.jpg")
            await harness.wait_for_states(waiting=1)
            job = await harness.job("a.jpg")
            assert (job.detail, job.failures) == (IN_USE, 0)
            assert harness.rechecked == ["a.jpg"]
            await asyncio.sleep(600)
            assert [step.cause for step in await harness.store.history(job.id)] == [
                Cause.FOUND,
                Cause.CLAIMED,
                Cause.DEFERRED,
            ]
        await harness.queue("a.jpg")  # as the watch does when the file is closed
        await harness.wait_for_states(done=1)
        assert (await harness.job("a.jpg")).failures == 0


@in_simulation
async def test_worker_file_in_use_is_tried_again_after_an_hour(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        harness.write("a.jpg", b"content")
        with (harness.inbox / "a.jpg").open("r+b"):
            await harness.queue("a.jpg")
            await harness.wait_for_states(waiting=1)
        await asyncio.sleep(WATCH_RETRY_SECONDS)
        await harness.wait_for_states(done=1)
