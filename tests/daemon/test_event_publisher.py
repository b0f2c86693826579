"""The events that the daemon publishes to listeners, and that it does not poll without listeners."""

import asyncio
import json
import re
import threading

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


class Ear:
    """Listens to a hub in the background."""

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
async def listen(site):
    ears = []

    def begin(*kinds):
        ears.append(Ear(site.daemon.hub, *kinds))
        return ears[-1]

    yield begin
    for ear in ears:
        await ear.close()


async def test_who_comes_is_told_how_all_is(site, listen):
    await site.start()
    first = listen()
    await wait_until(lambda: first.of("progress"))
    second = listen()
    await wait_until(lambda: second.of("progress"))
    for ear in (first, second):
        assert ear.of("daemon")[-1] == {
            "state": "running",
            "store_blocked": None,
            "folders": [str(site.inbox)],
            "remotes": ["ascii", "drive"],
        }
        assert ear.of("folder")[-1]["path"] == str(site.inbox)
        assert {remote["name"] for remote in ear.of("remote")} == {"drive", "ascii"}
        assert ear.of("progress")[-1]["flights"] == []


async def test_nothing_is_said_twice(site, listen):
    await site.start()
    ear = listen("daemon", "remote", "progress")
    await wait_until(lambda: ear.of("progress"))
    before = len(ear.events)
    looks = 0
    work = DaemonControlService.progress

    async def counted(self):
        nonlocal looks
        looks += 1
        return await work(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DaemonControlService, "progress", counted)
        await wait_until(lambda: looks >= 3)
    assert len(ear.events) == before


async def test_nobody_costs_nothing(site, monkeypatch):
    looks = []

    async def look(self):
        looks.append(self)

    monkeypatch.setattr(event_publisher.EventPublisher, "_poll", look)
    monkeypatch.setattr(event_publisher, "job_event", looks.append)
    await site.start()
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(done=1)
    await asyncio.sleep(2 * event_publisher.POLL_INTERVAL_SECONDS)
    assert looks == []


async def test_progress_comes_at_most_four_times_a_second(site, listen):
    site.settings["scheduler"]["bandwidth"] = "128KiB/s"
    await site.start()
    ear = listen("progress")
    began = asyncio.get_running_loop().time()
    (site.inbox / "a.jpg").write_bytes(random_bytes(400_000))
    await site.wait_for_counts(done=1)
    seconds = asyncio.get_running_loop().time() - began
    flights = [flight for document in ear.of("progress") for flight in document["flights"]]
    assert len({flight["sent"] for flight in flights}) > 2
    assert {flight["path"] for flight in flights} == {str(site.inbox / "a.jpg")}
    assert len(ear.of("progress")) <= seconds / 0.25 + 2


async def test_a_stop_and_a_folder_that_goes_are_told(site, listen):
    await site.start()
    ear = listen("daemon", "folder")
    await wait_until(lambda: ear.of("folder") and ear.of("folder")[-1]["state"] == "watching")
    await site.daemon.pause(now=False)
    await wait_until(lambda: ear.of("daemon")[-1]["state"] == "stopped")
    site.inbox.rename(site.folder / "elsewhere")
    await wait_until(lambda: ear.of("folder")[-1]["state"] == "offline")


async def test_log_lines_come_from_any_thread(site, listen):
    await site.start()
    ear = listen("log")
    log.info("daemon.reloaded", changes=["here"])
    thread = threading.Thread(target=lambda: log.info("daemon.reloaded", changes=["there"]))
    thread.start()
    thread.join()

    def changes():  # other lines may come between
        return [document["changes"] for document in ear.of("log") if document["event"] == "daemon.reloaded"]

    await wait_until(lambda: len(changes()) == 2)
    assert changes() == [["here"], ["there"]]


async def test_a_look_that_fails_is_logged_and_not_the_last(site, listen, monkeypatch):
    monkeypatch.setattr(event_publisher, "ERROR_BACKOFF_SECONDS", 0.01)
    await site.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DaemonControlService, "daemon_event", lambda self: 1 / 0)
        ear = listen()
        await wait_until(lambda: any(document["event"] == "events.failed" for document in ear.of("log")))
    await wait_until(lambda: ear.of("daemon"))


async def test_jobs_by_folder_remote_and_age(site):
    (site.folder / "other").mkdir()
    site.settings["folders"].append({"path": "other", "remote": ["ascii"], "settle": "50ms"})
    await site.start()
    for folder, name in (("inbox", "a.jpg"), ("inbox", "b.jpg"), ("other", "c.jpg")):
        (site.folder / folder / name).write_bytes(random_bytes(100, name))
        await wait_until(lambda: _done(site, name))  # noqa: B023 - awaited here
    names = {}
    for what, query in {
        "latest": {},
        "oldest": {"sort": Sort.OLDEST},
        "inbox": {"folder": str(site.inbox)},
        "ascii": {"remote": "ascii"},
        "both": {"remote": "ascii", "folder": str(site.inbox)},
    }.items():
        names[what] = [job["path"][-5:] for job in await site.jobs(**query)]
    assert names == {
        "latest": ["c.jpg", "b.jpg", "a.jpg"],
        "oldest": ["a.jpg", "b.jpg", "c.jpg"],
        "inbox": ["b.jpg", "a.jpg"],
        "ascii": ["c.jpg"],
        "both": [],
    }
    with pytest.raises(NotFoundError, match="there is no remote x"):
        await site.jobs(remote="x")


async def _done(site, name):
    return [job for job in await site.jobs(search=name) if job["state"] == "done"]


async def test_pages_of_the_oldest_first(site):
    await site.start()
    for number in range(7):
        (site.inbox / f"{number}.jpg").write_bytes(random_bytes(100, number))
    await site.wait_for_counts(done=7)
    seen, cursor = [], None
    while True:
        page = await site.service.jobs(JobQuery(limit=3, before=cursor, sort=Sort.OLDEST))
        seen += page["jobs"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({job["id"] for job in seen}) == len(seen) == 7
    assert [job["updated_at"] for job in seen] == sorted(job["updated_at"] for job in seen)


async def test_metrics_count_what_happened(site):
    await site.start()
    (site.inbox / "a.jpg").write_bytes(random_bytes(5000))
    (site.inbox / "b.jpg").write_bytes(b"")
    await site.wait_for_counts(done=1, skipped=1)
    body, content_type = await site.service.metrics()
    assert content_type.startswith("text/plain")
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert told["syncd_jobs", "drive", "done"] == 1
    assert told["syncd_jobs", "drive", "skipped"] == 1
    assert told["syncd_jobs", "ascii", "done"] == 0
    assert told["syncd_sent_bytes_total",] >= 5000
    assert told["syncd_remote_up", "drive"] == 1
    assert told["syncd_requests_in_flight", "drive"] == 0
    assert told["syncd_requests_limit", "drive"] >= 1
    assert told["syncd_store_writer_alive",] == told["syncd_uploading",] == 1
    assert told["syncd_folder_state", str(site.inbox), "watching"] == 1
    assert told["syncd_folder_state", str(site.inbox), "offline"] == 0
    await site.daemon.pause(now=False)
    assert b"syncd_uploading 0.0" in (await site.service.metrics())[0]


async def test_health_is_the_writers(site, monkeypatch):
    await site.start()
    assert await site.service.health() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(site.daemon.runtime.store), "alive", False)
        assert "writer" in await site.service.health()
    site.daemon.shutdown_requested.set()
    assert await site.service.health() == "the daemon is ending"
