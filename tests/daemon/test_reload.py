"""A reload during uploads loses nothing, and does not restart unchanged remotes and folders."""

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


def told(site):
    """Collect the changes of all jobs from now on."""
    changes: list[Change] = []
    site.daemon.runtime.store.changes.subscribe(changes.append)
    return changes


async def test_nothing_changed(site):
    await site.start()
    assert await site.reload() == []


async def test_a_new_folder_and_a_new_remote(site):
    await site.start()
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(done=1)
    other = site.folder / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(random_bytes(2000))
    site.settings["folders"] += [{"path": "other", "remote": ["more"], "settle": "50ms"}]
    site.settings["remotes"]["more"] = site.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    assert await site.reload() == ["remote more", f"folder {other}"]
    await site.wait_for_counts(done=2)
    (other / "c.jpg").write_bytes(random_bytes(3000))
    await site.wait_for_counts(done=3)


async def test_a_folder_that_goes_is_watched_no_longer_and_comes_back_with_nothing_sent_twice(site):
    other = site.folder / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(random_bytes(2000))
    site.settings["folders"] += [{"path": "other", "remote": "drive", "settle": "50ms"}]
    await site.start()
    await site.wait_for_counts(done=1)
    away = site.settings["folders"].pop()
    assert await site.reload() == [f"folder {other}"]
    (other / "c.jpg").write_bytes(random_bytes(3000))
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(done=2)
    assert [folder["path"] for folder in (await site.service.status())["folders"]] == [str(site.inbox)]
    before = await site.counters()
    site.settings["folders"].append(away)
    await site.reload()
    await site.wait_for_counts(done=3)
    assert (await site.counters())["files"] == before["files"] + 1  # c, and not b again


async def test_an_upload_to_a_remote_that_stays_goes_on_untouched(site):
    """While the other remote, the folder's own settings and the bandwidth change."""
    site.settings["folders"][0]["remote"] = ["drive", "ascii"]
    site.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await site.start()
    changes = told(site)
    data = random_bytes(4 * MIB)
    (site.inbox / "giant.tif").write_bytes(data)
    workers = site.daemon.runtime.scheduler.workers
    await wait_until(lambda: all(worker.progress() for worker in workers.values()))

    async def under_way():
        return (await site.counters())["chunks_received"] > 4

    await wait_until(under_way)
    site.settings["remotes"]["ascii"]["timeout"] = "59s"
    site.settings["folders"][0]["settle"] = "60ms"
    site.settings["scheduler"]["bandwidth"] = "100MiB/s"
    changed = await site.reload()
    assert changed == ["scheduler.bandwidth", "remote ascii", f"folder {site.inbox}"]
    await site.wait_for_counts(done=2)
    await wait_until(lambda: sum(change.remote == "drive" for change in changes) >= 3)
    drive = [change.after.value for change in changes if change.remote == "drive"]
    assert drive == ["queued", "uploading", "done"]
    counters = await site.counters()
    assert counters["chunks_repeated"] == 0
    jobs = await site.show("giant.tif")
    assert await site.content(next(job for job in jobs if job["remote"] == "drive")) == data


def _folders(settings, site):
    (site.folder / "other").mkdir()
    settings["folders"] += [{"path": "other", "remote": "drive", "settle": "50ms"}]
    return [f"folder {site.folder / 'other'}"]


def _remotes(settings, site):
    settings["remotes"]["more"] = site.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    del settings["remotes"]["ascii"]
    return ["remote ascii", "remote more"]


def _limits(settings, _site):
    settings["scheduler"] = {"concurrency": 2, "bandwidth": "100MiB/s", "retry": {"initial": "30ms", "max": "60ms"}}
    return ["scheduler.bandwidth", "scheduler.concurrency", "scheduler.retry"]


def _logging(settings, _site):
    settings["logging"] = {"level": "debug", "format": "json", "file": "syncd.log"}
    return ["logging"]


@pytest.mark.parametrize("change", [_folders, _remotes, _limits, _logging])
async def test_whatever_changes_the_bytes_of_an_upload_under_way_go_on(site, change):
    """The reload comes in the middle of them; each chunk is sent once, and the upload is never put back."""
    site.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await site.start()
    changes = told(site)
    data = random_bytes(4 * MIB)
    (site.inbox / "giant.tif").write_bytes(data)

    async def under_way():
        return (await site.counters())["chunks_received"] > 4

    await wait_until(under_way)
    expected = change(site.settings, site)
    assert sorted(await site.reload()) == expected
    assert (await site.counters())["chunks_received"] < 64
    site.settings["scheduler"]["bandwidth"] = "100MiB/s"
    await site.reload()
    await site.wait_for_counts(done=1)
    await wait_until(lambda: len(changes) >= 3)  # the store publishes a change just after it commits it
    assert [change.after.value for change in changes] == ["queued", "uploading", "done"]
    counters = await site.counters()
    assert (counters["chunks_received"], counters["chunks_repeated"]) == (64, 0)
    (job,) = await site.show("giant.tif")
    assert await site.content(job) == data


async def test_other_logging_holds_from_then_on(site):
    await site.start()
    site.settings["logging"] = {"level": "debug", "file": "syncd.log"}
    assert await site.reload() == ["logging"]
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await wait_until(lambda: '"event": "job.done"' in (site.folder / "syncd.log").read_text())


async def test_a_remote_that_changes_keeps_what_was_acknowledged(site):
    site.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await site.start()
    (site.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))

    async def under_way():
        return (await site.counters())["chunks_received"] > 4

    await wait_until(under_way)
    site.settings["remotes"]["drive"]["timeout"] = "59s"
    site.settings["scheduler"]["bandwidth"] = "100MiB/s"
    assert "remote drive" in await site.reload()
    await site.wait_for_counts(done=1)
    counters = await site.counters()
    assert (counters["chunks_received"], counters["chunks_repeated"]) == (64, 0)


async def test_what_waits_for_a_remote_that_goes_is_there_when_it_comes_back(site):
    await site.start()
    await site.service.stop(now=False)
    for number in range(5):
        (site.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await site.wait_for_counts(queued=5)
    drive = site.settings["remotes"].pop("drive")
    site.settings["folders"][0]["remote"] = ["ascii"]
    await site.reload()
    await site.wait_for_counts(queued=5)  # those for the other remote
    site.settings["remotes"]["drive"] = drive
    site.settings["folders"][0]["remote"] = ["ascii", "drive"]
    await site.reload()
    await site.wait_for_counts(queued=10)
    await site.service.start()
    await site.wait_for_counts(done=10)


async def test_status_answers_while_a_remote_goes(site):
    """Its last chunks are on their way, for seconds maybe, and people look on."""
    site.settings["scheduler"]["bandwidth"] = "100KiB/s"
    site.settings["remotes"]["more"] = site.multipart(pool_id="00000000-0000-0000-0000-000000000001")
    await site.start()
    (site.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))
    await wait_until(lambda: any(progress.stage == "sending" for progress in site.daemon.runtime.scheduler.progress()))
    site.settings["folders"][0]["remote"] = ["ascii"]
    del site.settings["remotes"]["drive"], site.settings["remotes"]["more"]
    reloading = asyncio.create_task(site.reload())
    seen = []
    while not reloading.done():
        status = await site.service.status()
        seen.append([remote["name"] for remote in status["remotes"]])
        await asyncio.sleep(0.05)
    await reloading
    assert len(seen) > 1
    assert [remote["name"] for remote in (await site.service.status())["remotes"]] == ["ascii"]


async def test_two_reloads_at_once_come_one_after_the_other(site):
    await site.start()
    site.settings["scheduler"]["bandwidth"] = "3MiB/s"
    site.write()
    answers = await asyncio.gather(site.service.reload(), site.service.reload())
    assert answers == [["scheduler.bandwidth"], []]


async def test_other_limits_hold_from_then_on(site):
    site.settings["scheduler"]["concurrency"] = 2
    await site.start()
    workers = site.daemon.runtime.scheduler.workers
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {2}
    site.settings["scheduler"]["concurrency"] = 7
    await site.reload()
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {7}
    site.settings["scheduler"]["concurrency"] = "auto"
    await site.reload()
    assert {worker.endpoint.limiter.capacity for worker in workers.values()} == {4}
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(done=1)


async def test_a_stop_outlasts_a_reload(site):
    await site.start()
    await site.service.stop(now=False)
    site.settings["remotes"]["drive"]["timeout"] = "59s"
    await site.reload()
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(queued=1)
    assert (await site.service.status())["state"] == "stopped"
    await site.service.start()
    await site.wait_for_counts(done=1)


@pytest.mark.parametrize("broken", ["document", "log file"])
async def test_a_configuration_that_can_not_be_used_changes_nothing(site, broken):
    await site.start()
    before = site.daemon.runtime.config
    if broken == "document":
        site.path.write_text("folders: [")
    else:
        site.settings["folders"][0]["settle"] = "70ms"
        site.settings["logging"] = {"file": "config.yaml/below a file"}
        site.write()
    with pytest.raises(InvalidConfigError) as caught:
        await site.service.reload()
    assert len(caught.value.problems) == 1
    assert str(site.path) in caught.value.problems[0]
    assert site.daemon.runtime.config is before
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(done=1)
    if broken == "log file":  # mended, it is taken over as a whole
        del site.settings["logging"]
        assert await site.reload() == [f"folder {site.inbox}"]


async def test_what_needs_a_restart_is_said(site):
    await site.start()
    site.settings["control"] = {"socket": "other.sock", "dashboard": "off"}
    assert await site.reload() == ["control: takes effect at the next restart"]


@asynccontextmanager
async def elsewhere(site):
    """The site's server at another address; each request there is in the list that this gives."""
    requests: list[str] = []

    async def handle(request):
        requests.append(f"{request.method} {request.path}")
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers}
        to = site.url + request.path_qs
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
        await site.stop()
        await runner.cleanup()


def sent(requests):
    """Return the requests that sent a file or a part of one."""
    return [each for each in requests if "/chunk/" in each or each.endswith(("/direct", "/chunks"))]


@pytest.mark.parametrize("kind", ["direct", "chunks", "md5", "image"])
@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_a_server_at_another_address_is_asked_before_anything_is_sent(site, kind, how):
    options = {"direct": {"direct": "auto"}, "chunks": {}, "md5": {"direct": "auto", "hash": "md5"}}
    drive = site.image() if kind == "image" else site.multipart(**options[kind])
    site.settings["remotes"] = {"drive": drive}
    for number in range(20):
        (site.inbox / f"{number}.jpg").write_bytes(random_bytes(100_000, number))
    await site.start()
    await site.wait_for_counts(done=20)
    async with elsewhere(site) as (url, requests):
        drive["url"] = url
        if how == "reload":
            assert await site.reload() == ["remote drive", f"folder {site.inbox}"]
        else:
            await site.stop()
            await site.start()
        await site.wait_for_counts(done=20)
        assert {job["outcome"] for job in await site.jobs()} == {"duplicate"}
        assert requests
        assert sent(requests) == []


@pytest.mark.parametrize("kind", ["multipart", "image"])
@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_a_server_that_is_told_to_be_the_same_keeps_its_records(site, kind, how):
    drive = getattr(site, kind)()
    site.settings["remotes"] = {"drive": drive}
    for number in range(20):
        (site.inbox / f"{number}.jpg").write_bytes(random_bytes(10_000, number))
    await site.start()
    await site.wait_for_counts(done=20)
    before = [(job["id"], job["updated_at"]) for job in await site.jobs()]
    async with elsewhere(site) as (url, requests):
        drive["former_url"], drive["url"] = drive["url"], url
        if how == "reload":
            await site.reload()
        else:
            await site.stop()
            await site.start()
        (site.inbox / "new.jpg").write_bytes(random_bytes(10_000, "new"))
        await site.wait_for_counts(done=21)
        jobs = await site.jobs(search="new.jpg")
        assert [(job["id"], job["updated_at"]) for job in await site.jobs() if job not in jobs] == before
        assert {job["outcome"] for job in jobs} == {"uploaded"}
        assert len(sent(requests)) == 1


async def test_an_address_that_was_never_the_same_servers_does_no_harm(site):
    """Queued files go to the new server completely, and the old server keeps its copies."""
    site.settings["remotes"] = {"drive": (drive := site.multipart())}
    await site.start()
    (site.inbox / "a.jpg").write_bytes(random_bytes(10_000, "a"))
    await site.wait_for_counts(done=1)
    async with running_receiver(site.folder / "another") as url:
        drive["former_url"], drive["url"] = drive["url"], url
        await site.reload()
        (site.inbox / "b.jpg").write_bytes(random_bytes(10_000, "a"))
        await site.wait_for_counts(done=2)
        (job,) = await site.show("b.jpg")
        assert job["outcome"] == "uploaded"
        await site.stop()


async def test_an_address_that_was_never_the_same_servers_deletes_nothing(site):
    """Not even what the old server has confirmed a moment ago."""
    site.settings["remotes"] = {"drive": (drive := site.multipart())}
    await site.start()
    (site.inbox / "a.jpg").write_bytes(random_bytes(10_000, "a"))
    await site.wait_for_counts(done=1)
    async with running_receiver(site.folder / "another") as url:
        drive["former_url"], drive["url"] = drive["url"], url
        site.settings["folders"][0]["after_upload"] = "delete"
        await site.reload()

        async def detail():
            return (await site.service.status())["folders"][0]["detail"]

        assert "drive does not confirm it" in await wait_until(detail)
        assert (site.inbox / "a.jpg").exists()
        await site.stop()


async def test_two_remotes_that_differ_by_their_token_are_two_destinations(site):
    anna, ben = site.multipart(token="token-of-anna"), site.multipart(token="token-of-ben")
    site.settings["remotes"] = {"anna": anna, "ben": ben}
    site.settings["folders"][0]["remote"] = ["anna", "ben"]
    await site.start()
    for number in range(6):
        (site.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await site.wait_for_counts(done=12)
    assert {job["remote"] for job in await site.show("0.jpg")} == {"anna", "ben"}


async def test_a_queued_file_that_changes_and_is_left_out_meanwhile_is_skipped(site):
    """The watch does not look at it any more: it would be tried again for ever."""
    await site.start()
    await site.service.stop(now=True)
    path = site.inbox / "a.jpg"
    path.write_bytes(random_bytes(1000))
    await site.wait_for_counts(queued=1)
    site.settings["folders"][0]["exclude"] = ["a.jpg"]
    await site.reload()
    path.write_bytes(random_bytes(2000))
    await site.service.start()
    (job,) = await site.wait_for_states("a.jpg", "skipped")
    assert "leave it out now" in job["detail"]
    site.settings["folders"][0]["exclude"] = []
    await site.reload()
    await site.wait_for_states("a.jpg", "done")
