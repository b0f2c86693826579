"""Measures response times and memory of a daemon with a million jobs.

    .venv/bin/python bench/million.py [--jobs 1000000] [--keep FOLDER]

Creates the store with its own schema, and starts ``syncd run`` with it and with an empty store. Prints the minimum,
median and maximum response time of 20 requests of each kind over the control socket, in milliseconds, then start-up
time and memory. With ``--keep`` the store stays in that folder and is used again the next time.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

from syncd.config.load import load
from syncd.control.client import ControlClient, ControlError
from syncd.control.service import JobQuery
from syncd.core.model import Sort
from syncd.core.states import State
from syncd.remotes.factory import make_remote
from syncd.store.job_store import JobStore

POOL = "00000000-0000-0000-0000-000000000000"
TIMES = 20
REMOTES = ("drive", "ascii", "seldom")
DAY = 86_400.0


def write_config(folder):
    remote = {"type": "multipart", "url": "http://127.0.0.1:1", "pool_id": POOL}
    path = folder / "config.yaml"
    path.write_text(
        json.dumps(
            {
                # None of these folders exists, so the daemon scans nothing.
                "folders": [
                    {"path": "inbox", "remote": ["drive", "ascii"]},
                    {"path": "camera", "remote": "drive"},
                    {"path": "rare", "remote": "seldom"},
                ],
                "remotes": {name: {**remote, "prefix": f"/{name}"} for name in REMOTES},
                "state_dir": "state",
                "control": {"dashboard": False},  # another daemon may have the port
            }
        )
    )
    return path


async def open_store(config):
    """Create the store with its remotes; uploading is paused, so that no job changes."""
    store = await JobStore.open(str(config.store), clock=time.time)
    await store.set_setting("stopped", "yes")
    ids = []
    for name, settings in config.remotes.items():
        remote = make_remote(name, settings, throttle=None, clock=time.time, user_agent="bench")
        ids.append((await store.register_remote(name, remote.identity)).id)
        await remote.close()
    await store.close()
    return ids


def fill(config, remote_ids, count):
    """Insert ``count`` jobs, nearly all finished, into a large, a medium and a small folder."""
    rng = random.Random(1)
    drive, ascii_, seldom = remote_ids
    inbox, camera, rare = (os.fsencode(folder.path) for folder in config.folders)
    few = max(1, count // 10_000)
    twice = (count - 2 * few) * 45 // 100
    plan = (
        [(inbox, (drive, ascii_))] * twice
        + [(camera, (drive,))] * (count - few - 2 * twice)
        + [(rare, (seldom,))] * few
    )
    states = [State.FAILED] * 5 + [State.WAITING] * 3 + [State.QUEUED] * 2 + [State.SKIPPED] * 90 + [State.DONE] * 9900
    begin = time.time() - 300 * DAY

    def rows():
        job = 0
        for file, (folder, targets) in enumerate(plan, 1):
            size, at = rng.randrange(1, 8_000_000) // 64 * 64 + 1, begin + 200 * DAY * file / len(plan)
            prefix = "DSC" if folder == camera else "IMG"
            path = f"{2020 + file % 6}/{file % 12 + 1:02}/{prefix}_{rng.randrange(10**8):08}_{file}.jpg".encode()
            made = []
            for remote in targets:
                job += 1
                made.append((job, file, remote, rng.choice(states), size, at, at + rng.random() * DAY))
            yield (file, folder, path, str(file), size), made

    with closing(sqlite3.connect(config.store, isolation_level=None)) as store:
        store.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")
        files, jobs = [], []
        folder_ids = {}
        for file, made in rows():
            files.append(file)
            jobs += made
            if len(files) == 20_000:
                insert(store, files, jobs, folder_ids)
                files, jobs = [], []
        insert(store, files, jobs, folder_ids)
        store.execute("COMMIT")


def insert(store, files, jobs, folder_ids):
    store.executemany(
        """INSERT INTO files (id, folder, path, inode, size, mtime_ns, version, present)
        VALUES (?, ?, ?, ?, ?, '1700000000000000000', 1, 1)""",
        files,
    )
    folder_ids.update(store.execute("SELECT path, id FROM folders"))
    folder_of = {file[0]: folder_ids[file[1]] for file in files}
    store.executemany(
        """INSERT INTO jobs (id, file_id, remote_id, state, cause, outcome, detail, attempts, due_at, claim, version,
        size, large, key, key_version, ref, created_at, updated_at, folder_id) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 1, 1,
        ?, 0, ?, 1, ?, ?, ?, ?)""",
        [
            (
                job,
                file,
                remote,
                state.value,
                *ENDS[state],
                updated + (1e9 if state is State.WAITING else 0),
                size,
                f"sha256:{file:064x}",
                f"{file:032x}",
                created,
                updated,
                folder_of[file],
            )
            for job, file, remote, state, size, created, updated in jobs
        ],
    )
    store.executemany(
        "INSERT INTO history (job_id, at, cause, from_state, to_state, detail) VALUES (?, ?, ?, ?, ?, NULL)",
        [
            step
            for job, _, _, state, _, created, updated in jobs
            for step in (
                (job, created, "found", None, "queued"),
                (job, updated - 1, "claimed", "queued", "uploading"),
                (job, updated, ENDS[state][0], "uploading", state.value),
            )
        ],
    )


ENDS = {
    State.DONE: ("uploaded", "uploaded", None),
    State.FAILED: ("refused", None, "the server has no room (507)"),
    State.SKIPPED: ("unfit", None, "empty"),
    State.WAITING: ("deferred", None, "503"),
    State.QUEUED: ("released", None, "stopped"),
}


@contextmanager
def daemon(config):
    """Start a daemon; yield its client, its process id and the seconds until its first answer."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "syncd", "run", "-c", str(config.path)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    client = ControlClient(config.config.control.socket)
    try:
        while True:
            try:
                client.status()
                break
            except ControlError:
                assert child.poll() is None, "the daemon has ended"
                time.sleep(0.01)
        yield client, child.pid, time.perf_counter() - began
    finally:
        child.terminate()
        child.wait()


def memory(pid):
    """Return the resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def questions(config):
    inbox, camera, rare = (folder.path for folder in config.folders)
    filters = {
        "all": {},
        "done": {"state": State.DONE},
        "failed": {"state": State.FAILED},
        "uploading (none)": {"state": State.UPLOADING},
        "remote ascii": {"remote": "ascii"},
        "remote seldom": {"remote": "seldom"},
        "folder camera": {"folder": camera},
        "folder rare": {"folder": rare},
        "done, drive, camera": {"state": State.DONE, "remote": "drive", "folder": camera},
        "failed, drive, inbox": {"state": State.FAILED, "remote": "drive", "folder": inbox},
        "search .jpg": {"search": ".jpg"},
        "search IMG_0001": {"search": "img_0001"},
        "search dsc_ (one folder)": {"search": "dsc_"},
        "search 2021/02": {"search": "2021/02"},
        "search zq": {"search": "zq"},
        "search nothing": {"search": "no such name"},
        "search nothing, rare": {"search": "no such name", "folder": rare},
        "search _450000.jpg, done": {"search": "_450000.jpg", "state": State.DONE},
    }
    yield "status", lambda client: client.status()
    yield "jobs, first page", lambda client: client.jobs()
    for name, chosen in filters.items():
        for sort in Sort:
            query = JobQuery(sort=sort, limit=100, **chosen)
            yield f"{name}, {sort}", lambda client, query=query: client.jobs(query)
        by_file = JobQuery(limit=100, siblings=True, **chosen)
        yield f"{name}, by file", lambda client, query=by_file: client.jobs(query)


def ask(client, question):
    """Send the request 20 times; return the milliseconds."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        question(client)
        took.append((time.perf_counter() - began) * 1000)
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        million, empty = (given.keep or Path(name) / "million"), Path(name) / "empty"
        measure(make(million, given.jobs), make(empty, 0))


def make(folder, count):
    folder.mkdir(exist_ok=True, parents=True)
    loaded = load(write_config(folder))
    if not loaded.config.store.exists():
        began = time.perf_counter()
        ids = asyncio.run(open_store(loaded.config))
        if count:
            fill(loaded.config, ids, count)
            size = loaded.config.store.stat().st_size / 2**20
            print(f"{count} jobs made in {time.perf_counter() - began:.0f} s, {size:.0f} MiB")
    return loaded


def measure(million, empty):
    with daemon(empty) as (client, pid, started):
        for _, question in questions(empty.config):
            question(client)
        small, small_start = memory(pid), started
    with daemon(million) as (client, pid, started):
        print(f"jobs: {client.status()['jobs']}")
        worst = []
        for name, question in questions(million.config):
            took = ask(client, question)
            worst.append((statistics.median(took), name))
            print(f"{name:36} {min(took):7.1f} {statistics.median(took):7.1f} {max(took):7.1f} ms", flush=True)
        print("slowest: " + ", ".join(f"{name} {took:.0f} ms" for took, name in sorted(worst)[:-4:-1]))
        print(f"start-up {started:.2f} s, of an empty one {small_start:.2f} s")
        print(f"memory {memory(pid):.0f} MiB, of an empty one {small:.0f} MiB")


if __name__ == "__main__":
    main()
