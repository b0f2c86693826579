"""Verify inside a running daemon: it finds bad copies, repairs them on request, and ends with the daemon."""

import asyncio
import hashlib
import shutil

import pytest

from syncd.control.service import BusyError, NotFoundError
from syncd.core.errors import Unauthorized
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


def stored(site, data):
    return site.folder / "received" / "files" / "finished" / hashlib.sha256(data).hexdigest()


def damage(copy):
    data = (copy / "data").read_bytes()
    (copy / "data").write_bytes(bytes(10) + data[10:])


async def verdicts(site, *names, repair=False):
    targets = [str(site.inbox / name) for name in names]
    verified = await site.service.verify(targets, repair=repair)
    return [finding["verdict"] for finding in verified["results"]], verified["queued"]


async def uploaded(site, *names):
    await site.start()
    for name in names:
        (site.inbox / name).write_bytes(random_bytes(2 * MIB, name))
    await site.wait_for_counts(done=len(names))


async def test_each_copy_is_compared_and_the_bad_ones_are_mended(site):
    await uploaded(site, "intact.jpg", "damaged.jpg", "gone.jpg", "gone here too.jpg")
    damage(stored(site, random_bytes(2 * MIB, "damaged.jpg")))
    for name in ("gone.jpg", "gone here too.jpg"):
        shutil.rmtree(stored(site, random_bytes(2 * MIB, name)))
    (site.inbox / "gone here too.jpg").unlink()
    names = ("gone here too.jpg", "damaged.jpg", "intact.jpg", "gone.jpg")
    bad = ["missing", "different", "intact", "missing"]
    assert await verdicts(site, *names) == (bad, 0)
    await site.service.rescan(None)

    async def noticed():
        return not (await site.show("gone here too.jpg"))[0]["present"]

    await wait_until(noticed)
    assert await verdicts(site, *names, repair=True) == (bad, 2)
    await site.wait_for_counts(done=4)
    assert await verdicts(site, *names) == (["missing", "intact", "intact", "intact"], 0)


async def test_what_is_not_uploaded_is_unknown(site):
    await site.start()
    await site.service.stop(now=False)
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await site.wait_for_counts(queued=1)
    (finding,) = (await site.service.verify([str(site.inbox / "a.jpg")], repair=True))["results"]
    assert (finding["verdict"], finding["detail"]) == ("unknown", "not uploaded: it is queued")
    with pytest.raises(NotFoundError):
        await site.service.verify([4711], repair=False)


async def test_a_server_that_is_down_is_told(site):
    await uploaded(site, "a.jpg")
    line = site.daemon.runtime.scheduler.workers["drive"].endpoint
    line.breaker.failed(Unauthorized("the token is refused (401)"), line.clock())
    (finding,) = (await site.service.verify([str(site.inbox / "a.jpg")], repair=True))["results"]
    assert (finding["verdict"], finding["detail"]) == ("unreachable", "the token is refused (401)")


async def test_it_keeps_to_the_requests_in_flight_and_ends_with_the_daemon(site):
    site.settings["scheduler"]["concurrency"] = 1
    await uploaded(site, "a.jpg")
    gate = site.daemon.runtime.scheduler.workers["drive"].endpoint.limiter
    async with gate.slot():
        asking = asyncio.create_task(verdicts(site, "a.jpg"))
        await wait_until(lambda: gate._waiting)
        assert not asking.done()
    assert await asking == (["intact"], 0)
    async with gate.slot():
        asking = asyncio.create_task(verdicts(site, "a.jpg"))
        await wait_until(lambda: gate._waiting)
        site.daemon.shutdown_requested.set()
        with pytest.raises(BusyError, match="ending"):
            await asking
