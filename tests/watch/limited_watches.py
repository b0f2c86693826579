"""Run in a user namespace that allows few inotify watches: prints how the folder is watched, finds all files."""

import asyncio
import tempfile
from pathlib import Path

from tests.watch.support import Bench, MemorySink, until


async def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), MemorySink())
        for n in range(50):
            (bench.path / f"d{n}").mkdir()
        async with bench.running() as watch:
            for n in range(50):
                (bench.path / f"d{n}" / "a.jpg").write_bytes(b"x")
            await until(lambda: len(bench.sink.known) == 50)
            print(watch.status.watch, watch.status.detail)


asyncio.run(main())
