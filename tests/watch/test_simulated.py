"""Regression tests of bugs that the simulation found, on a real folder."""

import asyncio

from tests.support.wait import wait_until


async def test_repeated_rescan_requests_do_not_delay_a_file(harness, records):
    """Two jobs request the same file if it was changed since it was queued."""
    async with harness.running(watch="poll") as watch:
        (harness.path / "a.jpg").write_bytes(b"x")

        async def ask():
            while True:
                watch.request_rescan("a.jpg")
                await asyncio.sleep(harness.folder.settle / 3)

        asking = asyncio.create_task(ask())
        try:
            await wait_until(lambda: "a.jpg" in records.known, timeout=10)
        finally:
            asking.cancel()


async def test_event_while_folder_is_briefly_absent_is_kept(harness, records, monkeypatch):
    """The folder is back before the next check of its presence."""
    away = harness.path.with_name("away")
    async with harness.running() as watch:
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)
        harness.path.rename(away)
        with (away / "a.jpg").open("wb") as file:
            file.write(b"changed")
        await wait_until(lambda: watch.settling("a.jpg"))
        await wait_until(lambda: not watch.settling("a.jpg"))
        away.rename(harness.path)
        await wait_until(lambda: records.known["a.jpg"].fingerprint.size == 7, timeout=10)
