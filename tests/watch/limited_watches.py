"""Prints how a folder is watched with few inotify watches, in a user namespace.

Fails if a file is not found.
"""

import asyncio
import tempfile
from pathlib import Path

from tests.support.wait import wait_until
from tests.watch.support import MemoryRecords, WatchHarness


async def main() -> None:
    with tempfile.TemporaryDirectory() as path:
        harness = WatchHarness(Path(path), MemoryRecords())
        for n in range(50):
            (harness.path / f"d{n}").mkdir()
        async with harness.running() as watch:
            for n in range(50):
                (harness.path / f"d{n}" / "a.jpg").write_bytes(b"x")
            await wait_until(lambda: len(harness.records.known) == 50)
            print(watch.status.watch, watch.status.detail)


asyncio.run(main())
