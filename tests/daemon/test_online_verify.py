"""Verify inside a running daemon: it finds bad copies and repairs them on request.

It ends when the daemon stops.
"""

import asyncio
import hashlib
import shutil

import pytest

from syncd.control.service import BusyError, NotFoundError
from syncd.core.errors import Unauthorized
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


def stored(harness, data):
    return harness.folder / "received" / "files" / "finished" / hashlib.sha256(data).hexdigest()


def damage(copy):
    data = (copy / "data").read_bytes()
    (copy / "data").write_bytes(bytes(10) + data[10:])


async def verdicts(harness, *names, repair=False):
    targets = [str(harness.inbox / name) for name in names]
    verified = await harness.service.verify(targets, repair=repair)
    return [finding["verdict"] for finding in verified["results"]], verified["queued"]


async def uploaded(harness, *names):
    await harness.start()
    for name in names:
        (harness.inbox / name).write_bytes(random_bytes(2 * MIB, name))
    await harness.wait_for_counts(done=len(names))


async def test_online_verify_repairs_bad_copies(harness):
    await uploaded(harness, "intact.jpg", "damaged.jpg", "gone.jpg", "gone here too.jpg")
    damage(stored(harness, random_bytes(2 * MIB, "damaged.jpg")))
    for name in ("gone.jpg", "gone here too.jpg"):
        shutil.rmtree(stored(harness, random_bytes(2 * MIB, name)))
    (harness.inbox / "gone here too.jpg").unlink()
    names = ("gone here too.jpg", "damaged.jpg", "intact.jpg", "gone.jpg")
    bad = ["missing", "different", "intact", "missing"]
    assert await verdicts(harness, *names) == (bad, 0)
    await harness.service.rescan(None)

    async def noticed():
        return not (await harness.show("gone here too.jpg"))[0]["present"]

    await wait_until(noticed)
    assert await verdicts(harness, *names, repair=True) == (bad, 2)
    await harness.wait_for_counts(done=4)
    assert await verdicts(harness, *names) == (["missing", "intact", "intact", "intact"], 0)


async def test_online_verify_pending_job_is_unknown(harness):
    await harness.start()
    await harness.service.stop(now=False)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(queued=1)
    (finding,) = (await harness.service.verify([str(harness.inbox / "a.jpg")], repair=True))["results"]
    assert (finding["verdict"], finding["detail"]) == ("unknown", "not uploaded: it is queued")
    with pytest.raises(NotFoundError):
        await harness.service.verify([4711], repair=False)


async def test_online_verify_server_down_is_unreachable(harness):
    await uploaded(harness, "a.jpg")
    line = harness.daemon.runtime.scheduler.workers["drive"].endpoint
    line.breaker.failed(Unauthorized("the token is refused (401)"), line.clock())
    (finding,) = (await harness.service.verify([str(harness.inbox / "a.jpg")], repair=True))["results"]
    assert (finding["verdict"], finding["detail"]) == ("unreachable", "the token is refused (401)")


async def test_online_verify_keeps_limits_and_ends_with_daemon(harness):
    harness.settings["scheduler"]["concurrency"] = 1
    await uploaded(harness, "a.jpg")
    limiter = harness.daemon.runtime.scheduler.workers["drive"].endpoint.limiter
    async with limiter.slot():
        asking = asyncio.create_task(verdicts(harness, "a.jpg"))
        await wait_until(lambda: limiter._waiting)
        assert not asking.done()
    assert await asking == (["intact"], 0)
    async with limiter.slot():
        asking = asyncio.create_task(verdicts(harness, "a.jpg"))
        await wait_until(lambda: limiter._waiting)
        harness.daemon.shutdown_requested.set()
        with pytest.raises(BusyError, match="ending"):
            await asking
