"""What the simulation of the whole engine found, on a real folder."""

import asyncio

from tests.watch.support import until


async def test_who_asks_for_a_file_again_and_again_does_not_keep_it_from_settling(bench, sink):
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
