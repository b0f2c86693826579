"""Tests of a single pass: its uploads, its summary, and that it always ends."""

import asyncio
import os

import pytest
from aiohttp import web

from syncd.config.model import Config
from syncd.daemon import once as module
from syncd.daemon.once import MAX_ATTEMPTS, once
from tests.daemon.harness import DaemonHarness
from tests.remotes.helpers import serve_app
from tests.support.data import random_bytes
from tests.support.wait import wait_until
from tests.watch.test_kernel_watches import deny


async def run(harness, **options):
    config: Config = harness.write().config
    return await once(config, **options)


async def test_once_without_files_reports_zero(harness):
    summary = await run(harness)
    assert (summary.uploaded, summary.failed, summary.left, summary.problems, summary.unreachable) == (0, 0, 0, [], [])


async def test_once_counts_files_left_out_by_patterns(harness):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    for name in ("a.jpg", "clip.mp4", "notes.pdf"):
        (harness.inbox / name).write_bytes(random_bytes(100, name))
    summary = await run(harness)
    assert (summary.uploaded, summary.failed, summary.left_out, summary.left_out_videos) == (2, 0, 2, 1)


async def test_once_missing_folder_is_a_problem(harness):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    config: Config = harness.write().config
    harness.inbox.rmdir()
    summary = await once(config)
    assert (summary.unscanned, summary.left, summary.failed) == (1, 0, 0)
    found = [(problem.path, problem.folder, problem.remote, problem.state) for problem in summary.problems]
    assert found == [("", str(harness.inbox), remote, "unscanned") for remote in ("drive", "ascii")]
    assert "No such file or directory" in summary.problems[0].detail


async def test_once_unreadable_directory_is_a_problem(harness, monkeypatch):
    closed = harness.inbox / "closed"
    for directory in (harness.inbox, closed):
        directory.mkdir(exist_ok=True)
        (directory / "a.jpg").write_bytes(random_bytes(100))
    deny(monkeypatch, {str(closed)})
    summary = await run(harness)
    assert (summary.uploaded, summary.unscanned) == (1, 1)
    (problem,) = summary.problems
    assert (problem.path, problem.state, problem.detail) == ("closed", "unscanned", "Permission denied")


async def test_once_counts_each_file_once_per_remote(harness):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    for number in range(5):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    (harness.inbox / "copy.jpg").write_bytes(random_bytes(1000, 0))
    (harness.inbox / "empty.jpg").touch()
    snapshots = []
    summary = await run(harness, on_progress=snapshots.append)
    assert (summary.uploaded, summary.duplicate, summary.skipped) == (10, 2, 2)
    assert (summary.failed, summary.left, summary.problems, summary.unreachable) == (0, 0, [], [])
    assert summary.sent > 10 * 1000
    assert snapshots[0].scanning
    assert not snapshots[-1].scanning
    assert (snapshots[-1].done, snapshots[-1].left, snapshots[-1].pending) == (12, 0, 0)

    again = await run(harness)
    assert (again.uploaded, again.duplicate, again.sent) == (0, 0, 0)


async def test_once_unreachable_server_is_given_up(harness):
    harness.settings["remotes"]["drive"]["url"] = "http://127.0.0.1:1"
    for number in range(20):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(100, number))
    summary = await run(harness)
    assert (summary.uploaded, summary.failed, summary.left) == (0, 0, 20)
    assert summary.unreachable == ["drive"]
    assert len(summary.problems) == 20

    harness.settings["remotes"]["drive"]["url"] = harness.url
    assert (await run(harness)).uploaded == 20


async def test_once_unreachable_server_delays_no_other(harness):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    harness.settings["remotes"]["ascii"]["url"] = "http://127.0.0.1:1"
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    summary = await run(harness)
    assert (summary.uploaded, summary.left, summary.unreachable) == (1, 1, ["ascii"])


@pytest.fixture
async def refusing(tmp_path, monkeypatch):
    """A server that responds to every call with the same status, 403 by default."""

    async def answer(request):
        await request.read()
        harness.posts += request.method == "POST"
        if harness.posts > harness.slow_after:
            await asyncio.sleep(harness.slow_seconds)
        status = harness.status if request.method == "POST" else harness.probe_status or harness.status
        return web.json_response({"message": "no, and no again"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve_app(app) as url:
        harness = DaemonHarness(tmp_path, url)
        # The pass must notice the last attempt that it allows before the job runs out of attempts.
        monkeypatch.setattr(module, "POLL_INTERVAL_SECONDS", 0.01)
        harness.settings["scheduler"]["retry"] = {"initial": "100ms", "max": "200ms"}
        harness.status, harness.probe_status = 403, None
        harness.posts, harness.slow_after, harness.slow_seconds = 0, 1000, 1
        yield harness


async def test_once_rejected_file_stays_failed(refusing):
    (refusing.inbox / "bad\n\udcff.jpg").write_bytes(random_bytes(1000))
    summary = await run(refusing)
    assert (summary.uploaded, summary.failed, summary.left) == (0, 1, 0)
    (problem,) = summary.problems
    assert (problem.path, problem.state) == (r"bad\n\xff.jpg", "failed")
    assert "no, and no again" in problem.detail
    posts = refusing.posts
    assert (await run(refusing)).failed == 1
    assert refusing.posts == posts  # only a user can retry it


async def test_once_transient_failure_is_left_for_next_pass(refusing):
    refusing.status = 500
    (refusing.inbox / "a.jpg").write_bytes(random_bytes(1000))
    summary = await run(refusing)
    assert (summary.uploaded, summary.failed, summary.left) == (0, 0, 1)
    assert summary.problems[0].state in {"waiting", "queued"}


async def test_once_job_in_flight_at_give_up_is_reported(refusing):
    refusing.status, refusing.slow_after = 503, MAX_ATTEMPTS
    (refusing.inbox / "a.jpg").write_bytes(random_bytes(1000))
    summary = await run(refusing)
    assert (summary.left, [problem.path for problem in summary.problems]) == (1, ["a.jpg"])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("status", "probe_status", "unreachable"), [(500, 500, []), (401, 404, ["drive"])])
async def test_once_attempt_at_summary_is_stopped_first(refusing, monkeypatch, status, probe_status, unreachable):
    """The server holds a request that begins after the pass gave up the file or the server."""
    refusing.status, refusing.probe_status = status, probe_status
    (refusing.inbox / "a.jpg").write_bytes(random_bytes(1000))
    unfinished = module._Pass._unfinished

    async def unfinished_until_held(self):
        if await unfinished(self):
            return True
        refusing.slow_after, refusing.slow_seconds = refusing.posts, 60
        await wait_until(lambda: refusing.posts > refusing.slow_after, "an attempt has begun", timeout=20)
        return False

    monkeypatch.setattr(module._Pass, "_unfinished", unfinished_until_held)
    monkeypatch.setattr("syncd.upload.scheduler.DRAIN_SECONDS", 0.1)
    summary = await run(refusing)
    (problem,) = summary.problems
    assert (summary.left, problem.path, problem.state) == (1, "a.jpg", "queued")
    assert "no, and no again" in problem.detail
    assert summary.unreachable == unreachable


async def test_once_changing_file_is_left_for_next_pass(harness, monkeypatch):
    """The file changes during each hash."""
    path = harness.inbox / "busy.jpg"
    path.write_bytes(random_bytes(1000))
    (harness.inbox / "calm.jpg").write_bytes(random_bytes(2000))
    real = module.open_runtime
    tries = []

    def opened(*arguments, **options):
        from syncd.upload.source import FileSource  # noqa: PLC0415 - patched for this pass alone

        hash_ = FileSource._hash

        def change_first(self, hasher):
            if self.size != 2000:
                tries.append(self.size)
                with path.open("ab") as file:
                    file.write(os.urandom(7))
            return hash_(self, hasher)

        monkeypatch.setattr(FileSource, "_hash", change_first)
        return real(*arguments, **options)

    monkeypatch.setattr(module, "open_runtime", opened)
    summary = await run(harness)
    assert (summary.uploaded, summary.failed, summary.left) == (1, 0, 1)
    assert len(tries) <= 2 * MAX_ATTEMPTS
    assert "changed" in summary.problems[0].detail


async def test_once_uploads_though_daemon_was_paused(harness):
    """A pass uploads although ``syncd ctl stop`` has paused the daemon."""
    await harness.start()
    await harness.service.stop(now=False)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(queued=1)
    await harness.stop()
    assert (await run(harness)).uploaded == 1
    await harness.start()
    assert (await harness.service.status())["state"] == "stopped"


async def test_once_applies_after_upload(harness):
    harness.settings["folders"][0]["after_upload"] = "delete"
    for number in range(3):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    assert (await run(harness)).uploaded == 3
    assert os.listdir(harness.inbox) == []


async def test_once_failed_worker_raises(harness, monkeypatch):
    async def die(self):
        raise ZeroDivisionError

    monkeypatch.setattr("syncd.upload.worker.RemoteWorker._poll", die)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    with pytest.raises(ZeroDivisionError):
        await run(harness)
