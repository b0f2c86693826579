"""What the simulation of the whole engine found, on a real folder."""

import asyncio

from tests.watch.support import until


async def test_repeated_rescan_requests_do_not_delay_a_file(bench, sink):
    """As two jobs of a file do that was changed since it was queued."""
    async with bench.running(watch="poll") as watch:
        (bench.path / "a.jpg").write_bytes(b"x")

        async def ask():
            while True:
                watch.request_rescan("a.jpg")
                await asyncio.sleep(bench.folder.settle / 3)

        asking = asyncio.create_task(ask())
        try:
            await until(lambda: "a.jpg" in sink.known, 10)
        finally:
            asking.cancel()


async def test_event_while_folder_is_briefly_absent_is_kept(bench, sink, monkeypatch):
    """Away for so short a time that nobody who looks after it notices."""
    away = bench.path.with_name("away")
    async with bench.running() as watch:
        (bench.path / "a.jpg").write_bytes(b"x")
        await until(lambda: "a.jpg" in sink.known)
        bench.path.rename(away)
        with (away / "a.jpg").open("wb") as file:
            file.write(b"changed")
        await until(lambda: watch.settling("a.jpg"))
        await until(lambda: not watch.settling("a.jpg"))
        away.rename(bench.path)
        await until(lambda: sink.known["a.jpg"].fingerprint.size == 7, 10)
