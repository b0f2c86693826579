"""A lane over the real store, with a remote that fails in every way; in simulated time."""

import asyncio
import itertools
import os
from dataclasses import replace

import pytest

from syncd.core.breaker import MAX_FAILED_JOBS
from syncd.core.errors import Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import Session, Stored
from syncd.core.retry import MAX_LOST, MAX_TRIES, Policy
from syncd.core.states import IN_USE, Cause, Outcome, State
from syncd.upload.upload import IN_USE_RETRY_SECONDS
from tests.simulation.event_loop import simulated
from tests.upload.fakes import Bench, FakeRemote

DOWN = Transient("connection refused", scope=Scope.REMOTE)


def only(name, failure):
    """Fail what concerns one file."""
    return lambda call, *about: failure if about[:1] == (name,) else None


def in_simulation(test):
    """Run an asynchronous test in simulated time."""

    def run(tmp_path):
        simulated(test(tmp_path))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@in_simulation
async def test_a_file_goes_up_chunk_by_chunk(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.drop("a.jpg", os.urandom(4500))
        await bench.settle(done=1)
        assert [call[0] for call in bench.remote.calls] == ["check", "begin", *["send"] * 5, "finish"]
        job = await bench.job("a.jpg")
        assert (job.outcome, job.ref) == (Outcome.UPLOADED, job.key)
        assert [step.cause for step in await bench.store.history(job.id)] == [
            Cause.FOUND,
            Cause.CLAIMED,
            Cause.UPLOADED,
        ]


@in_simulation
async def test_requests_in_flight_are_bounded(tmp_path):
    async with Bench(tmp_path, concurrency=3) as bench:
        for number in range(20):
            bench.write(f"{number}.jpg", os.urandom(5000))
        await bench.queue(*(f"{number}.jpg" for number in range(20)))
        await bench.settle(done=20)
        assert bench.remote.most_in_flight == 3


@in_simulation
async def test_no_file_starves_behind_a_giant(tmp_path):
    async with Bench(tmp_path, concurrency=1) as bench:
        bench.write("giant.tif", os.urandom(500_000))
        await bench.queue("giant.tif")
        await bench.until(lambda: bench.remote.count("send") > 10)
        await bench.drop("small.jpg", b"small")
        await bench.until(lambda: b"small" in bench.remote.whole.values())
        assert bench.remote.count("send") < 40
        await bench.settle(done=2)


@in_simulation
async def test_the_same_content_is_sent_once(tmp_path):
    """At the same time, and later."""
    data = os.urandom(50_000)
    async with Bench(tmp_path) as bench:
        names = [bench.write(f"{number}.jpg", data) for number in range(5)]
        await bench.queue(*names)
        await bench.settle(done=5)
        await bench.drop("later.jpg", data)
        await bench.settle(done=6)
        assert bench.remote.count("send") == 50
        assert bench.remote.count("begin") == 1
        outcomes = [(await bench.job(name)).outcome for name in [*names, "later.jpg"]]
        assert sorted(outcomes) == [Outcome.DUPLICATE] * 5 + [Outcome.UPLOADED]
        assert bench.loop.now < 1000 + 30  # twins are woken, they do not wait out their time


@in_simulation
async def test_what_the_server_lost_is_sent_again(tmp_path):
    """As when it expired there: what was stored once proves nothing about now."""
    data = os.urandom(5000)
    async with Bench(tmp_path) as bench:
        await bench.drop("a.jpg", data)
        await bench.settle(done=1)
        bench.remote.whole.clear()
        await bench.drop("copy.jpg", data)
        await bench.settle(done=2)
        assert list(bench.remote.whole.values()) == [data]
        assert (await bench.job("copy.jpg")).outcome is Outcome.UPLOADED


@in_simulation
async def test_a_question_that_fails_after_an_upload_closes_the_line_and_costs_no_upload(tmp_path):
    async with Bench(tmp_path) as bench:
        real = bench.remote.finish

        async def finish(session, content, source):
            return replace(await real(session, content, source), trouble=DOWN)

        bench.remote.finish = finish
        await bench.drop("a.jpg", os.urandom(100))
        await bench.settle(done=1)
        assert bench.worker.endpoint.breaker.reason is DOWN
        assert bench.remote.count("finish") == 1


@in_simulation
async def test_a_server_that_is_down_gets_one_probe_in_each_backoff_period(tmp_path):
    async with Bench(tmp_path, policy=Policy(initial=1, maximum=60)) as bench:
        names = [bench.write(f"{number}.jpg", os.urandom(100)) for number in range(200)]
        bench.remote.fail = lambda call, *about: DOWN
        await bench.queue(*names)
        await bench.until(lambda: bench.worker.endpoint.down)
        started, asked = bench.loop.now, len(bench.remote.calls)
        assert asked == 1
        await asyncio.sleep(1800)
        probes = bench.remote.calls[asked:]
        assert {call[0] for call in probes} == {"check"}
        # Full jitter: a period is 30 s in the mean once the bound is reached; never two probes at once.
        assert 1800 / 60 <= len(probes) <= 1800 / 30 * 1.5 + 10
        assert bench.worker.state == "offline"
        assert (await bench.store.counts([bench.remote_id])).jobs[State.QUEUED] == 200

        bench.remote.fail = lambda call, *about: None
        await bench.settle(done=200)
        assert bench.loop.now - started < 1800 + 60 + 120
        jobs = await bench.store.jobs([bench.remote_id], limit=500)
        assert {job.failures for job in jobs} == {0}  # it was not their fault


@in_simulation
async def test_a_server_that_breaks_every_upload_is_not_tried_with_one_file_after_the_other(tmp_path):
    """Though nothing is asked before a small file is sent, which might look like a success."""
    remote = Direct()
    remote.fail = lambda call, *about: Transient("the connection was lost") if call == "send" else None
    async with Bench(tmp_path, remote) as bench:
        for number in range(100):
            bench.write(f"{number}.jpg", b"%d" % number)
        await bench.queue(*(f"{number}.jpg" for number in range(100)))
        await bench.until(lambda: bench.worker.endpoint.down)
        await asyncio.sleep(10)
        assert remote.count("send") <= (remote.count("check") + 1) * MAX_FAILED_JOBS


class Direct(FakeRemote):
    """Sends each file whole, without asking before."""

    async def begin(self, content, source, session, *, failures, look_up=False):
        return Session(token="", chunk_size=content.size, count=1, single_request=True)


@in_simulation
async def test_after_a_probe_one_request_at_a_time_until_one_succeeds(tmp_path):
    async with Bench(tmp_path, concurrency=8) as bench:
        names = [bench.write(f"{number}.jpg", os.urandom(5000)) for number in range(30)]
        bench.remote.fail = lambda call, *about: DOWN if call != "check" else None
        await bench.queue(*names)
        await bench.until(lambda: bench.worker.endpoint.down)
        asked = len(bench.remote.calls)
        bench.remote.most_in_flight = 0
        await asyncio.sleep(600)
        assert bench.remote.most_in_flight == 1
        assert len(bench.remote.calls) > asked
        bench.remote.fail = lambda call, *about: None
        await bench.settle(done=30)
        assert bench.remote.most_in_flight == 8


@in_simulation
async def test_retry_after_is_obeyed(tmp_path):
    async with Bench(tmp_path) as bench:
        busy = Transient("busy", scope=Scope.REMOTE, retry_after=300, overload=True)
        bench.remote.fail = lambda call, *about: busy
        await bench.drop("a.jpg", b"a")
        await bench.until(lambda: bench.worker.endpoint.down)
        bench.remote.fail = lambda call, *about: None
        asked = len(bench.remote.calls)
        await asyncio.sleep(298)
        assert len(bench.remote.calls) == asked
        await bench.settle(done=1)


@in_simulation
async def test_a_refused_file_fails_with_the_servers_words_and_the_others_go_on(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.remote.fail = only("bad.jpg", Permanent("quota exceeded"))
        for name in ("a.jpg", "bad.jpg", "b.jpg"):
            await bench.drop(name, name.encode())
        await bench.settle(done=2, failed=1)
        assert (await bench.job("bad.jpg")).detail == "quota exceeded"
        bench.remote.fail = lambda call, *about: None
        await bench.store.retry()
        await bench.settle(done=3)


@in_simulation
async def test_a_giant_is_not_given_up_as_long_as_each_try_brings_it_on(tmp_path):
    """A line that breaks at every third chunk: many more tries than a file gets that does not move."""
    sent = itertools.count()
    async with Bench(tmp_path, concurrency=1) as bench:
        bench.remote.fail = lambda call, *_: Transient("reset") if call == "send" and next(sent) % 3 == 2 else None
        await bench.drop("giant.tif", os.urandom(100_000))
        await bench.settle(done=1)
        assert bench.remote.count("begin") > 3 * MAX_TRIES


@in_simulation
async def test_a_file_that_fails_again_and_again_is_left_to_a_person(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.remote.fail = only("bad.jpg", Transient("500"))
        await bench.drop("bad.jpg", b"bad")
        number = 0
        while (await bench.job("bad.jpg")).state is not State.FAILED:
            await bench.drop(f"{number}.jpg", os.urandom(10))  # the server is well
            number += 1
            await asyncio.sleep(50)
        assert bench.remote.calls.count(("begin", "bad.jpg")) == MAX_TRIES
        job = await bench.job("bad.jpg")
        assert job.detail == f"500 (tried {MAX_TRIES} times)"


@in_simulation
async def test_a_refused_token_waits_for_a_person_and_fails_no_file(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.remote.fail = lambda call, *about: Unauthorized("the token is not accepted")
        await bench.drop("a.jpg", b"a")
        await asyncio.sleep(7200)
        assert bench.worker.state == "unauthorized"
        assert (await bench.job("a.jpg")).state is State.QUEUED
        bench.remote.fail = lambda call, *about: None
        bench.worker.resume()
        await bench.settle(done=1)


@in_simulation
async def test_a_lost_session_is_begun_again_and_not_for_ever(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.remote.fail = lambda call, *about: SessionLost("who?") if call == "finish" else None
        await bench.drop("a.jpg", os.urandom(3000))
        await bench.settle(failed=1)
        assert bench.remote.count("begin") == 2 * MAX_LOST
        assert await bench.store.session(bench.remote_id, (await bench.job("a.jpg")).key or "") is None


@in_simulation
async def test_what_a_remote_learns_is_kept_and_no_reason_to_give_up(tmp_path):
    remote = FakeRemote(chunk_size=100_000)

    def too_large(call, *about):
        if call == "send" and remote.block_size > 1000:
            remote.block_size //= 2
            remote.capabilities["largest"] = remote.block_size
            return SessionLost("smaller, please")
        return None

    remote.fail = too_large
    async with Bench(tmp_path, remote) as bench:
        await bench.drop("a.jpg", os.urandom(100_000))
        await bench.settle(done=1)
        record = await bench.store.register_remote("fake", remote.identity)
        assert record.capabilities == {"largest": remote.block_size}


@in_simulation
async def test_a_failed_chunk_leaves_the_others_their_way_and_only_it_is_sent_again(tmp_path):
    failures = [Transient("reset"), Transient("reset")]
    async with Bench(tmp_path) as bench:
        bench.remote.fail = lambda call, *about: failures.pop() if about[1:] == (3,) and failures else None
        await bench.drop("a.jpg", os.urandom(10_000))
        await bench.settle(done=1)
        sent = [about[1] for call, *about in bench.remote.calls if call == "send"]
        assert sorted(sent) == sorted([*range(10), 3, 3])


@in_simulation
async def test_a_stop_ends_at_the_chunk_boundary_and_the_rest_follows_later(tmp_path):
    async with Bench(tmp_path, concurrency=2) as bench:
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send") > 10)
        await bench.scheduler.pause(now=False)
        sent = bench.remote.count("send")
        assert bench.remote.in_flight == 0
        assert (await bench.job("a.jpg")).state is State.QUEUED
        await asyncio.sleep(1000)
        assert bench.remote.count("send") == sent
        bench.scheduler.resume()
        await bench.settle(done=1)
        assert bench.remote.count("send") == 30


@in_simulation
async def test_stop_now_cuts_off(tmp_path):
    async with Bench(tmp_path, FakeRemote(latency=5)) as bench:
        await bench.drop("a.jpg", os.urandom(30_000))
        await bench.until(lambda: bench.remote.count("send") > 1)
        before = bench.loop.now
        await bench.scheduler.pause(now=True)
        assert bench.loop.now - before < 1
        assert bench.remote.in_flight == 0
        assert (await bench.job("a.jpg")).state is State.QUEUED


@in_simulation
async def test_a_restart_sends_only_what_was_not_acknowledged(tmp_path):
    remote = FakeRemote()
    data = os.urandom(50_000)
    async with Bench(tmp_path, remote) as bench:
        await bench.drop("a.jpg", data)
        await bench.until(lambda: remote.count("send") > 20)
    async with Bench(tmp_path, remote) as bench:
        await bench.settle(done=1)
        assert remote.count("send") == 50
        assert list(remote.whole.values()) == [data]


@in_simulation
async def test_a_file_that_changes_under_way_is_started_again_when_it_is_quiet(tmp_path):
    async with Bench(tmp_path) as bench:
        size = 3 * 1024 * 1024
        bench.remote.block_size = 64 * 1024
        await bench.drop("a.jpg", os.urandom(size))
        await bench.until(lambda: bench.remote.count("send") > 10)
        new = os.urandom(size)
        bench.write("a.jpg", new)
        await bench.settle(waiting=1)
        assert bench.rechecked == ["a.jpg"]
        await bench.queue("a.jpg")  # what the watch does about it
        await bench.settle(done=1)
        assert list(bench.remote.whole.values()) == [new]


@pytest.mark.unix
@in_simulation
async def test_a_file_that_was_changed_after_it_was_read_is_uploaded_in_both_states(tmp_path):
    async with Bench(tmp_path) as bench:
        old, new = os.urandom(30_000), os.urandom(30_000)
        await bench.drop("a.jpg", old)  # small enough to be sent from memory
        await bench.until(lambda: bench.remote.count("send") > 5)
        (tmp_path / "new").write_bytes(new)
        (tmp_path / "new").replace(bench.inbox / "a.jpg")
        await bench.queue("a.jpg")
        await bench.settle(done=1)
        assert list(bench.remote.whole.values()) == [old, new]


@in_simulation
async def test_a_file_that_went_away_is_skipped(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.scheduler.pause(now=True)
        await bench.drop("a.jpg", b"a")
        (bench.inbox / "a.jpg").unlink()
        bench.scheduler.resume()
        await bench.settle(skipped=1)
        assert "removed" in (await bench.job("a.jpg")).detail


@in_simulation
async def test_a_cancelled_job_stops_and_stays_away(tmp_path):
    async with Bench(tmp_path) as bench:
        await bench.drop("a.jpg", os.urandom(100_000))
        await bench.until(lambda: bench.remote.count("send") > 5)
        job = await bench.job("a.jpg")
        assert await bench.store.cancel([job.id]) == [job.id]
        await bench.scheduler.cancel({job.id})
        sent = bench.remote.count("send")
        await asyncio.sleep(1000)
        assert bench.remote.count("send") == sent
        assert (await bench.job("a.jpg")).state is State.SKIPPED
        await bench.store.retry([job.id])
        await bench.settle(done=1)


@in_simulation
async def test_a_bug_met_by_one_file_does_not_end_the_others(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.remote.fail = only("bad.jpg", ZeroDivisionError("oops"))
        await bench.drop("bad.jpg", b"bad")
        await bench.drop("good.jpg", b"good")
        await bench.settle(done=1, waiting=1)
        assert (await bench.job("bad.jpg")).detail == "internal error: ZeroDivisionError; see the log"


@in_simulation
async def test_a_server_that_knows_the_content_is_believed(tmp_path):
    class Knows(FakeRemote):
        async def begin(self, content, source, session, *, failures, look_up=False):
            return Stored(ref="there", already=True)

    async with Bench(tmp_path, Knows()) as bench:
        await bench.drop("a.jpg", b"a")
        await bench.settle(done=1)
        assert (await bench.job("a.jpg")).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize("size", [1, 999, 1000, 1001])
def test_odd_sizes(tmp_path, size):
    async def run():
        async with Bench(tmp_path) as bench:
            data = os.urandom(size)
            await bench.drop("a.jpg", data)
            await bench.settle(done=1)
            assert list(bench.remote.whole.values()) == [data]

    simulated(run())


@in_simulation
async def test_a_file_that_is_open_for_writing_waits_without_a_try_and_is_looked_after(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.write("a.jpg", b"content")
        with (bench.inbox / "a.jpg").open("r+b"):
            await bench.queue("a.jpg")
            await bench.settle(waiting=1)
            job = await bench.job("a.jpg")
            assert (job.detail, job.failures) == (IN_USE, 0)
            assert bench.rechecked == ["a.jpg"]
            await asyncio.sleep(600)
            assert [step.cause for step in await bench.store.history(job.id)] == [
                Cause.FOUND,
                Cause.CLAIMED,
                Cause.DEFERRED,
            ]
        await bench.queue("a.jpg")  # as the watch does when it sees that nobody writes to it any more
        await bench.settle(done=1)
        assert (await bench.job("a.jpg")).failures == 0


@in_simulation
async def test_a_file_that_is_open_for_writing_is_tried_again_though_nobody_looks_after_it(tmp_path):
    async with Bench(tmp_path) as bench:
        bench.write("a.jpg", b"content")
        with (bench.inbox / "a.jpg").open("r+b"):
            await bench.queue("a.jpg")
            await bench.settle(waiting=1)
        await asyncio.sleep(IN_USE_RETRY_SECONDS)
        await bench.settle(done=1)
