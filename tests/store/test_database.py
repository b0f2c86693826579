import asyncio
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text

from syncd.store import database as module
from syncd.store import write_queue
from syncd.store.database import Database
from syncd.store.errors import StoreClosedError, StoreDamagedError
from syncd.store.job_store import JobStore
from tests.store.support import overwrite, size
from tests.support.clock import ManualClock
from tests.support.wait import wait_until

INSERT = text("INSERT INTO settings VALUES (:key, :value)")
SIZE = 4000


def insert(key: str):
    def work(connection) -> str:
        connection.execute(INSERT, {"key": key, "value": "x" * SIZE})
        return key

    return work


def keys(connection) -> set[str]:
    return set(connection.execute(text("SELECT key FROM settings")).scalars())


class Reports(list):
    """Collects the arguments of on_blocked, which is called in the thread of the loop."""

    def __call__(self, message: str | None) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.append(message)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def database(path, reports):
    database = await Database.open(path, on_blocked=reports, retry_delay=0.02)
    yield database
    await database.close()


def count_commits(database: Database) -> list[None]:
    commits: list[None] = []
    event.listen(database.engine, "commit", lambda _: commits.append(None))
    return commits


async def test_waiting_units_share_one_commit(database):
    commits = count_commits(database)
    done = await asyncio.gather(*(database.write(insert(str(number))) for number in range(400)))
    assert done == [str(number) for number in range(400)]
    assert len(commits) <= 3
    assert await database.read(keys) == set(done)


async def test_commit_waits_for_disk_if_any_write_is_durable(database):
    """Without a durable write a commit survives a kill, and a power cut can undo it."""
    full = []
    event.listen(
        database.engine,
        "commit",
        lambda connection: full.append(connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2),
    )
    await database.write(insert("a"), durable=False)
    await database.write(insert("b"))
    await database.write(insert("c"), durable=False)
    assert full == [False, True, False]
    await asyncio.gather(*(database.write(insert(str(number)), durable=number == 7) for number in range(20)))
    assert any(full[3:])


async def test_batch_size_is_limited(database, monkeypatch):
    monkeypatch.setattr(write_queue, "MAX_BATCH_CALLS", 10)
    commits = count_commits(database)
    await asyncio.gather(*(database.write(insert(str(number))) for number in range(100)))
    assert 10 <= len(commits) <= 12


async def test_database_has_two_threads(database):
    await asyncio.gather(*(database.write(insert(str(number))) for number in range(20)))
    await asyncio.gather(*(database.read(keys) for _ in range(20)))
    assert sum(thread.name.startswith("store-") for thread in threading.enumerate()) == 2


async def test_failing_unit_rolls_back_alone(database):
    def failing(connection) -> None:
        insert("half")(connection)
        raise ValueError("half way")

    results = await asyncio.gather(
        database.write(insert("a")),
        database.write(failing),
        database.write(insert("a")),
        database.write(insert("b")),
        return_exceptions=True,
    )
    assert results[0] == "a"
    assert str(results[1]) == "half way"
    assert "UNIQUE" in str(results[2])
    assert results[3] == "b"
    assert await database.read(keys) == {"a", "b"}


async def test_cancelled_caller_does_not_affect_others(database):
    done: list[str] = []
    hold = threading.Event()
    held = asyncio.create_task(database.write(lambda _: hold.wait(20)))
    tasks = [asyncio.create_task(database.write(insert(str(number)), done.append)) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    hold.set()
    await held
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(3), asyncio.CancelledError)
    assert results == [str(number) for number in range(10) if number != 3]
    assert sorted(done) == [str(number) for number in range(10)]
    assert await database.read(keys) == set(done)


async def test_failing_callback_does_not_affect_others(database):
    loud: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
    results = await asyncio.gather(
        database.write(insert("a"), lambda _: 1 / 0),
        database.write(insert("b")),
    )
    assert results == ["a", "b"]
    assert isinstance(loud[0]["exception"], ZeroDivisionError)


async def test_write_callback_runs_before_caller_continues(database):
    order: list[str] = []
    order.append(await database.write(insert("a"), lambda key: order.append(f"then {key}")))
    assert order == ["then a", "a"]


async def test_read_with_write_statement_raises(database):
    with pytest.raises(Exception, match="readonly"):
        await database.read(insert("a"))
    assert await database.read(keys) == set()


async def test_read_sees_one_consistent_state(database):
    seen: list[set[str]] = []
    between, go_on = threading.Event(), threading.Event()

    def twice(connection) -> None:
        seen.append(keys(connection))
        between.set()
        go_on.wait(20)
        seen.append(keys(connection))

    reading = asyncio.create_task(database.read(twice))
    await wait_until(between.is_set)
    await database.write(insert("a"))
    go_on.set()
    await reading
    assert seen == [set(), set()]


async def test_writes_wait_while_disk_is_full(database, reports):
    """SQLite's page limit simulates the full disk."""
    freed = threading.Event()
    tries: list[int] = []

    def fill(connection) -> int:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        return connection.execute(text(f"PRAGMA max_page_count = {1000 if freed.is_set() else pages}")).scalar()

    def much(connection) -> None:
        tries.append(fill(connection))
        for number in range(20):
            insert(f"much {number}")(connection)

    writes = [asyncio.create_task(database.write(work)) for work in (insert("before"), much, insert("after"))]
    await wait_until(lambda: reports)
    await wait_until(lambda: len(tries) >= 3)
    assert len(reports) == 1
    assert "full" in reports[0]
    assert "\n" not in reports[0]
    assert not any(write.done() for write in writes)
    assert database.alive
    assert await database.read(keys) == set()
    freed.set()
    await asyncio.gather(*writes)
    assert reports[1:] == [None]
    assert len(await database.read(keys)) == 22


@pytest.fixture
def small_disk():
    """Mount a file system of 1 MiB; outside tmp_path, whose removal fails on a leftover mount."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("needs leave to mount")
        yield Path(folder)
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: str) -> None:
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.unix
async def test_disk_error_is_not_reported_as_full(tmp_path, reports):
    """A write beyond the file size limit fails like one on a broken disk."""
    database = await Database.open(str(tmp_path / "syncd.db"), on_blocked=reports, retry_delay=0.02)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, before[1]))
        write = asyncio.create_task(database.write(insert("a" * 1024 * 1024)))
        await wait_until(lambda: reports)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await write
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await database.close()
    assert "disk I/O error (SQLITE_IOERR" in reports[0]
    assert reports[0].endswith(": the disk or its file system is failing: see the kernel log")
    assert reports[1:] == [None]


@pytest.mark.e2e
@pytest.mark.unix
async def test_full_file_system_blocks_writes(small_disk, reports):
    database = await Database.open(str(small_disk / "syncd.db"), on_blocked=reports, retry_delay=0.02)
    fill(str(small_disk / "ballast"))
    try:
        write = asyncio.create_task(database.write(insert("a")))
        await wait_until(lambda: reports)
        assert "full" in reports[0] or "disk I/O" in reports[0]
        assert reports[0].endswith(": free space on the disk")
        assert not write.done()
        (small_disk / "ballast").unlink()
        assert await write == "a"
        assert reports[1:] == [None]
    finally:
        await database.close()


async def test_write_waits_for_lock_of_other_program(database, reports, path, monkeypatch):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(database.write(insert("a")))
        await wait_until(lambda: reports)
        assert "locked" in reports[0]
        other.execute("ROLLBACK")
    assert await write == "a"
    assert reports[1:] == [None]


async def test_close_does_not_wait_for_lock(path, reports):
    database = await Database.open(path, on_blocked=reports, retry_delay=1000.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(database.write(insert("a")))
        await wait_until(lambda: reports)
        await asyncio.wait_for(database.close(), 10)
        with pytest.raises(StoreClosedError):
            await write


async def test_close_finishes_earlier_writes(path):
    database = await Database.open(path)
    writes = [asyncio.create_task(database.write(insert(str(number)))) for number in range(1000)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    assert not database.alive
    assert not any(thread.name.startswith("store-") for thread in threading.enumerate())
    again = await Database.open(path)
    assert len(await again.read(keys)) == 1000
    await again.close()


async def test_calls_after_close_raise(path):
    database = await Database.open(path)
    await database.close()
    await database.close()
    with pytest.raises(StoreClosedError):
        await database.write(insert("a"))
    with pytest.raises(StoreClosedError):
        await database.read(keys)


async def test_damage_after_open_raises_damaged(database, path):
    await asyncio.gather(*(database.write(insert(str(number))) for number in range(300)))
    await database.write(lambda _: None)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(path, 4096, os.urandom(size(path) - 4096))
    with pytest.raises(StoreDamagedError):
        await database.write(
            lambda connection: connection.execute(text("SELECT count(*), max(value) FROM settings")).all()
        )
    with pytest.raises(StoreDamagedError):
        await database.read(
            lambda connection: connection.execute(text("SELECT count(*), max(value) FROM settings")).all()
        )


async def test_alive_is_false_while_writer_hangs(database, monkeypatch):
    assert database.alive
    monkeypatch.setattr(module, "WRITER_STUCK_SECONDS", 0.05)
    hang = threading.Event()
    write = asyncio.create_task(database.write(lambda _: hang.wait(20)))
    await wait_until(lambda: not database.alive)
    hang.set()
    await write
    await wait_until(lambda: database.alive)


@pytest.mark.e2e
def test_acknowledged_writes_survive_kill(path):
    script = """
        import asyncio, sys
        from syncd.core.model import FoundFile, Fingerprint
        from syncd.store.job_store import JobStore

        async def main():
            store = await JobStore.open(sys.argv[1], clock=lambda: 0.0)
            remote = await store.register_remote("drive", "drive")

            async def writer(writer_id):
                for number in range(1_000_000):
                    fingerprint = Fingerprint(inode=number * 4 + writer_id, size=1, mtime_ns=1)
                    path = f"{writer_id}/{number}"
                    found = [FoundFile(path=path, fingerprint=fingerprint)]
                    await store.observe("/f", found, [remote.id], is_gone=lambda *_: False)
                    print(path, flush=True)

            await asyncio.gather(*map(writer, range(4)))

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        acknowledged = [process.stdout.readline().strip() for _ in range(300)]
        process.kill()
        acknowledged += process.stdout.read().split()

    async def check() -> None:
        store = await JobStore.open(path, clock=ManualClock())
        present = await store.paths("/f", limit=1_000_000)
        assert set(acknowledged) <= set(present)
        (remote,) = {job.remote_id for job in await store.jobs([1])}
        assert sum((await store.counts([remote])).jobs.values()) == len(present)
        await store.close()

    asyncio.run(check())


async def test_write_together_failing_argument_fails_alone(database):
    """Waiting calls share one run of the work; an exception reaches only its own caller."""
    runs, blocked = [], threading.Event()

    def insert(connection, numbers):
        runs.append(list(numbers))
        for number in numbers:
            connection.exec_driver_sql("INSERT INTO settings VALUES (?, 'x')", (str(number),))
            if number == 2:
                raise ValueError("two")
        return [number * 10 for number in numbers]

    waiting = asyncio.create_task(database.write(lambda _: blocked.wait(10)))
    calls = [asyncio.create_task(database.write_together(insert, number)) for number in range(4)]
    await asyncio.sleep(0)
    blocked.set()
    results = await asyncio.gather(waiting, *calls, return_exceptions=True)
    assert results[1:3] + results[4:] == [0, 10, 30]
    assert isinstance(results[3], ValueError)
    assert [0, 1, 2, 3] in runs
    rows = await database.read(lambda connection: connection.exec_driver_sql("SELECT key FROM settings").all())
    assert sorted(row.key for row in rows) == ["0", "1", "3"]


async def test_read_together_error_reaches_all_callers(database):
    def fail(connection, arguments):
        raise ValueError("no")

    results = await asyncio.gather(*(database.read_together(fail, n) for n in range(3)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    assert await database.read_together(lambda _, numbers: numbers, 7) == 7
