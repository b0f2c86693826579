"""A reload during uploads loses nothing and restarts no unchanged remote or folder."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from syncd.control.service import InvalidConfigError
from syncd.store.records import Change
from tests.daemon.harness import running_receiver
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


def collect_changes(harness):
    """Collect the changes of all jobs from now on."""
    changes: list[Change] = []
    harness.daemon.runtime.store.changes.subscribe(changes.append)
    return changes


async def test_reload_without_changes_reports_none(harness):
    await harness.start()
    assert await harness.reload() == []


async def test_reload_adds_folder_and_remote(harness):
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=1)
    other = harness.folder / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(random_bytes(2000))
    harness.settings["folders"] += [{"path": "other", "remote": ["more"], "settle": "50ms"}]
    harness.settings["remotes"]["more"] = harness.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    assert await harness.reload() == ["remote more", f"folder {other}"]
    await harness.wait_for_counts(done=2)
    (other / "c.jpg").write_bytes(random_bytes(3000))
    await harness.wait_for_counts(done=3)


async def test_reload_removed_folder_returns_without_resending(harness):
    other = harness.folder / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(random_bytes(2000))
    harness.settings["folders"] += [{"path": "other", "remote": "drive", "settle": "50ms"}]
    await harness.start()
    await harness.wait_for_counts(done=1)
    away = harness.settings["folders"].pop()
    assert await harness.reload() == [f"folder {other}"]
    (other / "c.jpg").write_bytes(random_bytes(3000))
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=2)
    assert [folder["path"] for folder in (await harness.service.status())["folders"]] == [str(harness.inbox)]
    before = await harness.counters()
    harness.settings["folders"].append(away)
    await harness.reload()
    await harness.wait_for_counts(done=3)
    assert (await harness.counters())["files"] == before["files"] + 1  # c was sent, b was not sent again


async def test_reload_unchanged_remote_keeps_uploading(harness):
    """Another remote, the folder's settings and the bandwidth change."""
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    harness.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await harness.start()
    changes = collect_changes(harness)
    data = random_bytes(4 * MIB)
    (harness.inbox / "giant.tif").write_bytes(data)
    workers = harness.daemon.runtime.scheduler.workers
    await wait_until(lambda: all(worker.progress() for worker in workers.values()))

    async def is_uploading():
        return (await harness.counters())["chunks_received"] > 4

    await wait_until(is_uploading)
    harness.settings["remotes"]["ascii"]["timeout"] = "59s"
    harness.settings["folders"][0]["settle"] = "60ms"
    harness.settings["scheduler"]["bandwidth"] = "100MiB/s"
    changed = await harness.reload()
    assert changed == ["scheduler.bandwidth", "remote ascii", f"folder {harness.inbox}"]
    await harness.wait_for_counts(done=2)
    await wait_until(lambda: sum(change.remote == "drive" for change in changes) >= 3)
    drive = [change.after.value for change in changes if change.remote == "drive"]
    assert drive == ["queued", "uploading", "done"]
    counters = await harness.counters()
    assert counters["chunks_repeated"] == 0
    jobs = await harness.show("giant.tif")
    assert await harness.content(next(job for job in jobs if job["remote"] == "drive")) == data


def _folders(settings, harness):
    (harness.folder / "other").mkdir()
    settings["folders"] += [{"path": "other", "remote": "drive", "settle": "50ms"}]
    return [f"folder {harness.folder / 'other'}"]


def _remotes(settings, harness):
    settings["remotes"]["more"] = harness.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    del settings["remotes"]["ascii"]
    return ["remote ascii", "remote more"]


def _limits(settings, _harness):
    settings["scheduler"] = {"concurrency": 2, "bandwidth": "100MiB/s", "retry": {"initial": "30ms", "max": "60ms"}}
    return ["scheduler.bandwidth", "scheduler.concurrency", "scheduler.retry"]


def _logging(settings, _harness):
    settings["logging"] = {"level": "debug", "format": "json", "file": "syncd.log"}
    return ["logging"]


@pytest.mark.parametrize("change", [_folders, _remotes, _limits, _logging])
async def test_reload_during_upload_sends_each_chunk_once(harness, change):
    """A reload in the middle of an upload repeats no chunk and does not requeue the job."""
    harness.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await harness.start()
    changes = collect_changes(harness)
    data = random_bytes(4 * MIB)
    (harness.inbox / "giant.tif").write_bytes(data)

    async def is_uploading():
        return (await harness.counters())["chunks_received"] > 4

    await wait_until(is_uploading)
    expected = change(harness.settings, harness)
    assert sorted(await harness.reload()) == expected
    assert (await harness.counters())["chunks_received"] < 64
    harness.settings["scheduler"]["bandwidth"] = "100MiB/s"
    await harness.reload()
    await harness.wait_for_counts(done=1)
    await wait_until(lambda: len(changes) >= 3)  # the store publishes a change just after it commits it
    assert [change.after.value for change in changes] == ["queued", "uploading", "done"]
    counters = await harness.counters()
    assert (counters["chunks_received"], counters["chunks_repeated"]) == (64, 0)
    (job,) = await harness.show("giant.tif")
    assert await harness.content(job) == data


async def test_reload_applies_logging(harness):
    await harness.start()
    harness.settings["logging"] = {"level": "debug", "file": "syncd.log"}
    assert await harness.reload() == ["logging"]
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await wait_until(lambda: '"event": "job.done"' in (harness.folder / "syncd.log").read_text())


async def test_reload_changed_remote_keeps_acknowledged_chunks(harness):
    harness.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))

    async def is_uploading():
        return (await harness.counters())["chunks_received"] > 4

    await wait_until(is_uploading)
    harness.settings["remotes"]["drive"]["timeout"] = "59s"
    harness.settings["scheduler"]["bandwidth"] = "100MiB/s"
    assert "remote drive" in await harness.reload()
    await harness.wait_for_counts(done=1)
    counters = await harness.counters()
    assert (counters["chunks_received"], counters["chunks_repeated"]) == (64, 0)


async def test_reload_removed_remote_keeps_its_queue(harness):
    await harness.start()
    await harness.service.stop(now=False)
    for number in range(5):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await harness.wait_for_counts(queued=5)
    drive = harness.settings["remotes"].pop("drive")
    harness.settings["folders"][0]["remote"] = ["ascii"]
    await harness.reload()
    await harness.wait_for_counts(queued=5)  # the jobs of the other remote
    harness.settings["remotes"]["drive"] = drive
    harness.settings["folders"][0]["remote"] = ["ascii", "drive"]
    await harness.reload()
    await harness.wait_for_counts(queued=10)
    await harness.service.start()
    await harness.wait_for_counts(done=10)


async def test_reload_status_responds_during_remote_removal(harness):
    """The removed remote's last chunks may need seconds; the status must respond."""
    harness.settings["scheduler"]["bandwidth"] = "100KiB/s"
    harness.settings["remotes"]["more"] = harness.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))
    await wait_until(
        lambda: any(progress.stage == "sending" for progress in harness.daemon.runtime.scheduler.progress())
    )
    harness.settings["folders"][0]["remote"] = ["ascii"]
    del harness.settings["remotes"]["drive"], harness.settings["remotes"]["more"]
    reloading = asyncio.create_task(harness.reload())
    seen = []
    while not reloading.done():
        status = await harness.service.status()
        seen.append([remote["name"] for remote in status["remotes"]])
        await asyncio.sleep(0.05)
    await reloading
    assert len(seen) > 1
    assert [remote["name"] for remote in (await harness.service.status())["remotes"]] == ["ascii"]


async def test_reload_concurrent_requests_are_serialized(harness):
    await harness.start()
    harness.settings["scheduler"]["bandwidth"] = "3MiB/s"
    harness.write()
    answers = await asyncio.gather(harness.service.reload(), harness.service.reload())
    assert answers == [["scheduler.bandwidth"], []]


async def test_reload_applies_limits(harness):
    harness.settings["scheduler"]["concurrency"] = 2
    await harness.start()
    workers = harness.daemon.runtime.scheduler.workers
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {2}
    harness.settings["scheduler"]["concurrency"] = 7
    await harness.reload()
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {7}
    harness.settings["scheduler"]["concurrency"] = "auto"
    await harness.reload()
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {4}
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=1)


async def test_reload_keeps_pause(harness):
    await harness.start()
    await harness.service.stop(now=False)
    harness.settings["remotes"]["drive"]["timeout"] = "59s"
    await harness.reload()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(queued=1)
    assert (await harness.service.status())["state"] == "stopped"
    await harness.service.start()
    await harness.wait_for_counts(done=1)


@pytest.mark.parametrize("broken", ["document", "log file"])
async def test_reload_invalid_configuration_changes_nothing(harness, broken):
    await harness.start()
    before, logging = harness.daemon.runtime.config, harness.settings["logging"]
    if broken == "document":
        harness.path.write_text("folders: [")
    else:
        harness.settings["folders"][0]["settle"] = "70ms"
        harness.settings["logging"] = {"file": "config.yaml/below a file"}
        harness.write()
    with pytest.raises(InvalidConfigError) as caught:
        await harness.service.reload()
    assert len(caught.value.problems) == 1
    assert str(harness.path) in caught.value.problems[0]
    assert harness.daemon.runtime.config is before
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=1)
    if broken == "log file":  # after the correction, all changes apply
        harness.settings["logging"] = logging
        assert await harness.reload() == [f"folder {harness.inbox}"]


async def test_reload_reports_settings_that_need_restart(harness):
    await harness.start()
    harness.settings["control"] = {"socket": "other.sock", "dashboard": "off"}
    assert await harness.reload() == ["control: takes effect at the next restart"]


@asynccontextmanager
async def second_server(harness):
    """The harness's server at a second address; yields the list of its requests."""
    requests: list[str] = []

    async def handle(request):
        requests.append(f"{request.method} {request.path}")
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers}
        to = harness.url + request.path_qs
        passed_on = session.request(request.method, to, data=await request.read(), headers=headers)
        async with passed_on as answer:
            body = await answer.read()
            return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    app = web.Application(client_max_size=100 * MIB)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    async with aiohttp.ClientSession() as session:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
        await harness.stop()
        await runner.cleanup()


def sent(requests):
    """Return the requests that sent a file or a part of one."""
    return [each for each in requests if "/chunk/" in each or each.endswith(("/direct", "/chunks"))]


@pytest.mark.parametrize("kind", ["direct", "chunks", "md5", "image"])
@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_reload_new_address_is_asked_before_sending(harness, kind, how):
    options = {"direct": {"direct": "auto"}, "chunks": {}, "md5": {"direct": "auto", "hash": "md5"}}
    drive = harness.image() if kind == "image" else harness.multipart(**options[kind])
    harness.settings["remotes"] = {"drive": drive}
    for number in range(20):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(100_000, number))
    await harness.start()
    await harness.wait_for_counts(done=20)
    async with second_server(harness) as (url, requests):
        drive["url"] = url
        if how == "reload":
            assert await harness.reload() == ["remote drive", f"folder {harness.inbox}"]
        else:
            await harness.stop()
            await harness.start()
        await harness.wait_for_counts(done=20)
        assert {job["outcome"] for job in await harness.jobs()} == {"duplicate"}
        assert requests
        assert sent(requests) == []


@pytest.mark.parametrize("kind", ["multipart", "image"])
@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_reload_former_url_keeps_records(harness, kind, how):
    drive = getattr(harness, kind)()
    harness.settings["remotes"] = {"drive": drive}
    for number in range(20):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(10_000, number))
    await harness.start()
    await harness.wait_for_counts(done=20)
    before = [(job["id"], job["updated_at"]) for job in await harness.jobs()]
    async with second_server(harness) as (url, requests):
        drive["former_url"], drive["url"] = drive["url"], url
        if how == "reload":
            await harness.reload()
        else:
            await harness.stop()
            await harness.start()
        (harness.inbox / "new.jpg").write_bytes(random_bytes(10_000, "new"))
        await harness.wait_for_counts(done=21)
        jobs = await harness.jobs(search="new.jpg")
        assert [(job["id"], job["updated_at"]) for job in await harness.jobs() if job not in jobs] == before
        assert {job["outcome"] for job in jobs} == {"uploaded"}
        assert len(sent(requests)) == 1


async def test_reload_wrong_former_url_does_no_harm(harness):
    """Queued files go to the new server completely, and the old server keeps its copies."""
    harness.settings["remotes"] = {"drive": (drive := harness.multipart())}
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(10_000, "a"))
    await harness.wait_for_counts(done=1)
    async with running_receiver(harness.folder / "another") as url:
        drive["former_url"], drive["url"] = drive["url"], url
        await harness.reload()
        (harness.inbox / "b.jpg").write_bytes(random_bytes(10_000, "a"))
        await harness.wait_for_counts(done=2)
        (job,) = await harness.show("b.jpg")
        assert job["outcome"] == "uploaded"
        await harness.stop()


async def test_reload_wrong_former_url_deletes_nothing(harness):
    """A file is kept even if the old server has just confirmed it."""
    harness.settings["remotes"] = {"drive": (drive := harness.multipart())}
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(10_000, "a"))
    await harness.wait_for_counts(done=1)
    async with running_receiver(harness.folder / "another") as url:
        drive["former_url"], drive["url"] = drive["url"], url
        harness.settings["folders"][0]["after_upload"] = "delete"
        await harness.reload()

        async def detail():
            return (await harness.service.status())["folders"][0]["detail"]

        assert "drive does not confirm it" in await wait_until(detail)
        assert (harness.inbox / "a.jpg").exists()
        await harness.stop()


async def test_reload_remotes_with_own_tokens_are_distinct(harness):
    anna, ben = harness.multipart(token="token-of-anna"), harness.multipart(token="token-of-ben")
    harness.settings["remotes"] = {"anna": anna, "ben": ben}
    harness.settings["folders"][0]["remote"] = ["anna", "ben"]
    await harness.start()
    for number in range(6):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await harness.wait_for_counts(done=12)
    assert {job["remote"] for job in await harness.show("0.jpg")} == {"anna", "ben"}


async def test_reload_excluded_changed_file_is_skipped(harness):
    """The watch no longer checks the file, so the job would be retried forever."""
    await harness.start()
    await harness.service.stop(now=True)
    path = harness.inbox / "a.jpg"
    path.write_bytes(random_bytes(1000))
    await harness.wait_for_counts(queued=1)
    harness.settings["folders"][0]["exclude"] = ["a.jpg"]
    await harness.reload()
    path.write_bytes(random_bytes(2000))
    await harness.service.start()
    (job,) = await harness.wait_for_states("a.jpg", "skipped")
    assert "leave it out now" in job["detail"]
    harness.settings["folders"][0]["exclude"] = []
    await harness.reload()
    await harness.wait_for_states("a.jpg", "done")
