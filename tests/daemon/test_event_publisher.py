"""The daemon publishes events to listeners, and does not poll while it has none."""

import asyncio
import json
import re
import threading
import time

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from syncd.control.service import JobQuery, NotFoundError
from syncd.core.model import Sort
from syncd.daemon import event_publisher
from syncd.daemon.control_service import DaemonControlService
from tests.support.data import random_bytes
from tests.support.wait import wait_until

log = structlog.get_logger()


class Recorder:
    """Subscribes to a hub and records its events in the background."""

    def __init__(self, hub, *kinds):
        self.events = []
        self._listener = hub.subscribe(kinds) if kinds else hub.subscribe()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        while block := await self._listener.next_batch():
            found = re.findall(rb"event: (\w+)\ndata: (.*)\n\n", block)
            self.events += [(kind.decode(), json.loads(data)) for kind, data in found]

    def of(self, kind):
        return [document for name, document in self.events if name == kind]

    async def close(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._listener.__exit__()


@pytest.fixture
async def listen(harness):
    recorders = []

    def begin(*kinds):
        recorders.append(Recorder(harness.daemon.hub, *kinds))
        return recorders[-1]

    yield begin
    for recorder in recorders:
        await recorder.close()


async def test_publisher_new_listener_gets_full_state(harness, listen):
    await harness.start()
    first = listen()
    await wait_until(lambda: first.of("progress"))
    second = listen()
    await wait_until(lambda: second.of("progress"))
    for recorder in (first, second):
        assert recorder.of("daemon")[-1] == {
            "state": "running",
            "stopped_until": None,
            "store_blocked": None,
            "folders": [str(harness.inbox)],
            "remotes": ["ascii", "drive"],
        }
        assert recorder.of("folder")[-1]["path"] == str(harness.inbox)
        assert {remote["name"] for remote in recorder.of("remote")} == {"drive", "ascii"}
        assert recorder.of("progress")[-1]["flights"] == []


async def test_publisher_unchanged_state_is_not_repeated(harness, listen):
    await harness.start()
    recorder = listen("daemon", "remote", "progress")
    await wait_until(lambda: any(document["sync"]["settled"] for document in recorder.of("progress")))
    before = len(recorder.events)
    polls = 0
    work = DaemonControlService.progress

    async def counted(self):
        nonlocal polls
        polls += 1
        return await work(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DaemonControlService, "progress", counted)
        await wait_until(lambda: polls >= 3)
    assert len(recorder.events) == before


async def test_publisher_without_listeners_does_not_poll(harness, monkeypatch):
    polls = []

    async def poll(self):
        polls.append(self)

    monkeypatch.setattr(event_publisher.EventPublisher, "_poll", poll)
    monkeypatch.setattr(event_publisher, "job_event", polls.append)
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=1)
    await asyncio.sleep(2 * event_publisher.POLL_INTERVAL_SECONDS)
    assert polls == []


async def test_publisher_progress_rate_is_limited(harness, listen):
    harness.settings["scheduler"]["bandwidth"] = "128KiB/s"
    await harness.start()
    recorder = listen("progress")
    began = asyncio.get_running_loop().time()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(400_000))
    await harness.wait_for_counts(done=1)
    seconds = asyncio.get_running_loop().time() - began
    flights = [flight for document in recorder.of("progress") for flight in document["flights"]]
    assert len({flight["sent"] for flight in flights}) > 2
    assert {flight["path"] for flight in flights} == {str(harness.inbox / "a.jpg")}
    assert len(recorder.of("progress")) <= seconds / 0.25 + 2


async def test_publisher_pause_and_lost_folder_are_events(harness, listen):
    await harness.start()
    recorder = listen("daemon", "folder")
    await wait_until(lambda: recorder.of("folder") and recorder.of("folder")[-1]["state"] == "watching")
    await harness.daemon.pause(now=False)
    await wait_until(lambda: recorder.of("daemon")[-1]["state"] == "stopped")
    harness.inbox.rename(harness.folder / "elsewhere")
    await wait_until(lambda: recorder.of("folder")[-1]["state"] == "offline")


async def test_publisher_accepts_log_events_of_any_thread(harness, listen):
    await harness.start()
    recorder = listen("log")
    log.info("daemon.reloaded", changes=["here"])
    thread = threading.Thread(target=lambda: log.info("daemon.reloaded", changes=["there"]))
    thread.start()
    thread.join()

    def changes():  # other lines may come between
        return [document["changes"] for document in recorder.of("log") if document["event"] == "daemon.reloaded"]

    await wait_until(lambda: len(changes()) == 2)
    assert changes() == [["here"], ["there"]]


async def test_publisher_failed_poll_is_logged_and_retried(harness, listen, monkeypatch):
    monkeypatch.setattr(event_publisher, "ERROR_BACKOFF_SECONDS", 0.01)
    await harness.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DaemonControlService, "daemon_event", lambda self: 1 / 0)
        recorder = listen()
        await wait_until(lambda: any(document["event"] == "events.failed" for document in recorder.of("log")))
    await wait_until(lambda: recorder.of("daemon"))


async def test_jobs_filter_by_folder_remote_and_age(harness):
    (harness.folder / "other").mkdir()
    harness.settings["folders"].append({"path": "other", "remote": ["ascii"], "settle": "50ms"})
    await harness.start()
    for folder, name in (("inbox", "a.jpg"), ("inbox", "b.jpg"), ("other", "c.jpg")):
        (harness.folder / folder / name).write_bytes(random_bytes(100, name))
        await wait_until(lambda: _done(harness, name))  # noqa: B023 - awaited here
    names = {}
    for what, query in {
        "latest": {},
        "oldest": {"sort": Sort.OLDEST},
        "inbox": {"folder": str(harness.inbox)},
        "ascii": {"remote": "ascii"},
        "both": {"remote": "ascii", "folder": str(harness.inbox)},
    }.items():
        names[what] = [job["path"][-5:] for job in await harness.jobs(**query)]
    assert names == {
        "latest": ["c.jpg", "b.jpg", "a.jpg"],
        "oldest": ["a.jpg", "b.jpg", "c.jpg"],
        "inbox": ["b.jpg", "a.jpg"],
        "ascii": ["c.jpg"],
        "both": [],
    }
    with pytest.raises(NotFoundError, match="there is no remote x"):
        await harness.jobs(remote="x")


async def _done(harness, name):
    return [job for job in await harness.jobs(search=name) if job["state"] == "done"]


async def test_jobs_pages_oldest_first(harness):
    await harness.start()
    for number in range(7):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(100, number))
    await harness.wait_for_counts(done=7)
    seen, cursor = [], None
    while True:
        page = await harness.service.jobs(JobQuery(limit=3, before=cursor, sort=Sort.OLDEST))
        seen += page["jobs"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({job["id"] for job in seen}) == len(seen) == 7
    assert [job["updated_at"] for job in seen] == sorted(job["updated_at"] for job in seen)


async def test_metrics_count_uploads_and_states(harness):
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(5000))
    (harness.inbox / "b.jpg").write_bytes(b"")
    await harness.wait_for_counts(done=1, skipped=1)
    body, content_type = await harness.service.metrics()
    assert content_type.startswith("text/plain")
    metrics = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert metrics["syncd_jobs", "drive", "done"] == 1
    assert metrics["syncd_jobs", "drive", "skipped"] == 1
    assert metrics["syncd_jobs", "ascii", "done"] == 0
    assert metrics["syncd_sent_bytes_total",] >= 5000
    assert metrics["syncd_remote_up", "drive"] == 1
    assert time.time() - 60 < metrics["syncd_remote_last_ok_timestamp_seconds", "drive"] <= time.time()
    assert metrics["syncd_requests_in_flight", "drive"] == 0
    assert metrics["syncd_requests_limit", "drive"] >= 1
    assert metrics["syncd_store_writer_alive",] == metrics["syncd_uploading",] == 1
    assert metrics["syncd_folder_state", str(harness.inbox), "watching"] == 1
    assert metrics["syncd_folder_state", str(harness.inbox), "offline"] == 0
    await harness.daemon.pause(now=False)
    assert b"syncd_uploading 0.0" in (await harness.service.metrics())[0]


async def test_health_reports_store_writer(harness, monkeypatch):
    await harness.start()
    assert await harness.service.health() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(harness.daemon.runtime.store), "alive", False)
        assert "writer" in await harness.service.health()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(harness.daemon.runtime.store), "blocked", "the disk is full")
        assert await harness.service.health() == "the job store cannot be written: the disk is full"
        assert (await harness.service.status())["state"] == harness.service.daemon_event()["state"] == "blocked"
        assert harness.daemon.status_line() == "watching 1 folder, blocked: the disk is full"
        metrics = (await harness.service.metrics())[0]
        assert b"syncd_store_blocked 1.0" in metrics
        assert b"syncd_uploading 0.0" in metrics
        await harness.daemon.pause(now=False)
        assert harness.daemon.state == "stopped"
    harness.daemon.shutdown_requested.set()
    assert await harness.service.health() == "the daemon is ending"
