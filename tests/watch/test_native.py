"""The real watchdog on real directories: however a file comes, it is found; events alone are never trusted."""

import os
import shutil

from tests.watch.support import until


async def test_a_written_file_is_found(bench, sink):
    async with bench.running():
        (bench.path / "a.jpg").write_bytes(b"x" * 10)
        await until(lambda: "a.jpg" in sink.known)
    assert sink.known["a.jpg"].stamp.size == 10


async def test_a_file_moved_into_place_or_in_or_linked(bench, sink, other):
    (other / "c.jpg").write_bytes(b"c")
    async with bench.running():
        (bench.path / "a.jpg.part").write_bytes(b"a")
        os.rename(bench.path / "a.jpg.part", bench.path / "a.jpg")
        os.link(bench.path / "a.jpg", bench.path / "b.jpg")
        os.rename(other / "c.jpg", bench.path / "c.jpg")
        await until(lambda: {"a.jpg", "b.jpg", "c.jpg"} <= sink.known.keys())


async def test_files_in_folders_just_made(bench, sink, other):
    want = set()
    async with bench.running():
        for n in range(30):
            folder = bench.path / f"d{n % 5}" / f"e{n}"
            folder.mkdir(parents=True)
            for m in range(10):
                (folder / f"{m}.jpg").write_bytes(b"x")
                want.add(f"d{n % 5}/e{n}/{m}.jpg")
        await until(lambda: want <= sink.known.keys())


async def test_a_folder_renamed(bench, sink):
    (bench.path / "old" / "deep").mkdir(parents=True)
    (bench.path / "old" / "deep" / "a.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "old/deep/a.jpg" in sink.known)
        os.rename(bench.path / "old", bench.path / "new")
        await until(lambda: "new/deep/a.jpg" in sink.known and "old/deep/a.jpg" not in sink.known)
        (bench.path / "new" / "deep" / "b.jpg").write_bytes(b"x")
        await until(lambda: "new/deep/b.jpg" in sink.known)


async def test_deletes(bench, sink):
    (bench.path / "d").mkdir()
    for name in ("a.jpg", "d/b.jpg"):
        (bench.path / name).write_bytes(b"x")
    async with bench.running():
        await until(lambda: len(sink.known) == 2)
        (bench.path / "a.jpg").unlink()
        shutil.rmtree(bench.path / "d")
        await until(lambda: not sink.known)
