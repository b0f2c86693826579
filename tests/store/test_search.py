import os
import random
import sqlite3
from contextlib import closing

from syncd.store import search
from syncd.store.job_store import JobStore
from syncd.store.records import JobFilter
from tests.store.support import FOLDER, observe, seen

PIECES = (
    "a",
    "B",
    "ab",
    "IMG_",
    "_",
    "%",
    '"',
    "'",
    "*",
    "AND",
    "é",
    "É",
    "ß",
    "日本",
    "\udcff",
    "\udca0",
    "\udcc3",
    " ",
)


async def _names(store: JobStore, remote: int, text: str) -> list[str]:
    page = await store.page(JobFilter(remote_ids=[remote], search=text, limit=1000))
    return sorted(job.path for job in page.jobs)


async def _indexed(store: JobStore) -> bool:
    return await store.database.read(search.is_indexed)


def _without_trigrams(monkeypatch) -> None:
    """Simulate a Python whose SQLite has no trigram tokenizer."""
    monkeypatch.setattr(search, "TRIGRAM_SQLITE_VERSION", (99,))


def _text(rng: random.Random, most: int) -> str:
    joined = "".join(rng.choices(PIECES, k=rng.randrange(1, most)))
    return os.fsdecode(os.fsencode(joined))  # two invalid bytes can form a valid character


async def test_search_of_random_text_equals_scan(store, remote, monkeypatch):
    rng = random.Random(1)
    paths = {_text(rng, 9) for _ in range(400)}
    await observe(store, remote, *(seen(path) for path in paths))
    texts = {_text(rng, 5) for _ in range(300)} | {"x" * 5000, "a\0b"}
    by_index = {text: await _names(store, remote, text) for text in texts}
    monkeypatch.setattr(search, "is_indexed", lambda _: False)
    assert by_index == {text: await _names(store, remote, text) for text in texts}
    assert sum(len(found) > 0 for found in by_index.values()) > 80


async def test_search_of_three_characters_reads_index(store, remote):
    await observe(store, remote, *(seen(f"{name}.jpg") for name in ("abcd", "ABCD", "100%_x")))
    statements: list[str] = []

    def trace(connection) -> None:
        raw = connection.connection.driver_connection
        raw.set_trace_callback(statements.append)
        for text in ("abcd", "ab"):
            connection.execute(search.matching_files(connection, text, [FOLDER])).all()
        raw.set_trace_callback(None)

    await store.database.read(trace)
    assert ["file_search MATCH" in one for one in statements if one.startswith("SELECT files.id")] == [True, False]
    assert await _names(store, remote, "bCd") == ["ABCD.jpg", "abcd.jpg"]
    assert await _names(store, remote, "0%_x") == ["100%_x.jpg"]


async def test_search_finds_renamed_file(store, remote):
    await observe(store, remote, seen("before.jpg", 1))
    await observe(store, remote, seen("after.jpg", 1), is_gone=("before.jpg",))
    assert await _names(store, remote, "after") == ["after.jpg"]
    assert await _names(store, remote, "before") == []
    indexed = "SELECT rowid FROM file_search WHERE file_search MATCH "
    former, present = [
        await store.database.read(lambda connection, text=text: connection.exec_driver_sql(indexed + text).all())
        for text in ("'bef'", "'aft'")
    ]
    assert (former, len(present)) == ([], 1)


async def test_open_store_without_index_fills_it(path, store, remote, clock):
    await observe(store, remote, seen("early.jpg"), seen("b\udcff.jpg"))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER file_search_inserted")
        connection.execute("DROP TRIGGER file_search_renamed")
        connection.execute("DROP TABLE file_search")
    again = await JobStore.open(path, clock=clock)
    assert await _indexed(again)
    assert await _names(again, remote, "early") == ["early.jpg"]
    assert await _names(again, remote, ".jp") == ["b\udcff.jpg", "early.jpg"]
    await again.close()


async def test_search_without_trigrams_scans(path, store, remote, clock, monkeypatch):
    await observe(store, remote, seen("early.jpg", 1))
    await store.close()
    with monkeypatch.context() as patch:
        _without_trigrams(patch)
        old = await JobStore.open(path, clock=clock)
        assert not await _indexed(old)
        await observe(old, remote, seen("late.jpg", 2), seen("renamed.jpg", 1), is_gone=("early.jpg",))
        assert await _names(old, remote, "ate") == ["late.jpg"]
        await old.close()
    new = await JobStore.open(path, clock=clock)
    assert await _indexed(new)
    assert [await _names(new, remote, text) for text in ("late", "named", "early")] == [
        ["late.jpg"],
        ["renamed.jpg"],
        [],
    ]
    await new.close()
