"""Compares ``syncd once`` with a minimal client that sends the same requests to ``syncd serve``.

    .venv/bin/python bench/once.py [--files 1000] [--size 204800] [--after keep delete move]

Prints for each API: files per second, CPU seconds and peak memory of both processes, and the ratio of syncd's wall time
to that of the client in the same run. The ratio shows the cost of hashing, store and log. ``--after`` uploads the same
files once for each value of ``after_upload``, and compares the wall times with the first.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

POOL = "00000000-0000-0000-0000-000000000000"
CONCURRENCY = 8
CHUNK = 48 * 1024


def make_files(folder, count, size):
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(os.urandom(size))


class Receiver:
    def __init__(self, folder):
        self._folder = folder

    def __enter__(self):
        command = [sys.executable, "-m", "syncd", "serve", "--dir", str(self._folder), "--port", "0"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self._child.stdout.readline().split()[0]
        return self

    def __exit__(self, *_):
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        self.peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        self._child.terminate()
        _, _, usage = os.wait4(self._child.pid, 0)
        self._child.returncode = 0
        self._child.stdout.close()
        self.cpu = usage.ru_utime + usage.ru_stime


def run_once(folder, url, kind, after):
    """Return wall seconds, CPU seconds and peak MiB of ``syncd once``."""
    remote = {"type": kind, "url": url, **({"pool_id": POOL} if kind == "multipart" else {})}
    config = folder / f"{kind}.yaml"
    action = {"move": str(folder / "moved")} if after == "move" else after
    shutil.rmtree(folder / "copies", ignore_errors=True)
    shutil.copytree(folder / "files", folder / "copies")
    config.write_text(
        json.dumps(
            {
                "folders": [{"path": "copies", "remote": "it", "settle": "0s", "after_upload": action}],
                "remotes": {"it": remote},
                "state_dir": f"state-{kind}-{after}",
            }
        )
    )
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "syncd", "once", "--json", "-c", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    summary = json.loads(child.stdout.read())
    _, code, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(code)
    child.stdout.close()
    assert child.returncode == 0, summary
    assert after == "keep" or not list((folder / "copies").iterdir()), "files that were to go are still there"
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


async def bare(folder, url, kind):
    """Send the same requests without store, log and checks; return the wall seconds."""
    send = {"multipart": send_direct, "image": send_image}[kind]
    slots = asyncio.Semaphore(CONCURRENCY)
    started = time.perf_counter()
    async with aiohttp.ClientSession(url) as session:

        async def one(path):
            async with slots:
                await send(session, path)

        await asyncio.gather(*(one(path) for path in folder.iterdir()))
    return time.perf_counter() - started


async def send_direct(session, path):
    data = path.read_bytes()
    form = aiohttp.FormData({"hash": hashlib.sha256(data).hexdigest(), "pool_id": POOL})
    form.add_field("file", data, filename=path.name, content_type="image/jpeg")
    async with session.post("/api/files/upload/direct", data=form) as answer:
        assert answer.status == 200, await answer.text()


async def send_image(session, path):
    text = base64.urlsafe_b64encode(path.read_bytes()).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    async with session.post("/image", json={"sha256": digest, "size": len(text), "chunk_size": CHUNK}) as answer:
        assert answer.status == 201
    for index in range(-(-len(text) // CHUNK)):
        data = text[index * CHUNK : (index + 1) * CHUNK]
        body = {"id": index, "size": len(data), "data": data}
        async with session.post(f"/image/{digest}/chunks", json=body) as answer:
            assert answer.status == 201


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size", type=int, default=200 * 1024)
    parser.add_argument("--after", nargs="+", choices=["keep", "delete", "move"], default=["keep"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder / "files", given.files, given.size)
        for kind in ("multipart", "image"):
            with Receiver(folder / f"bare-{kind}") as receiver:
                floor = asyncio.run(bare(folder / "files", receiver.url, kind))
            first = None
            for after in given.after:
                with Receiver(folder / f"server-{kind}-{after}") as receiver:
                    wall, cpu, peak = run_once(folder, receiver.url, kind, after)
                first = first or wall
                print(
                    f"{kind:9}  {after:6}  {given.files / wall:6.0f} files/s  {wall:5.1f} s  "
                    f"client {cpu:.1f} s CPU, {peak:.0f} MiB peak  "
                    f"server {receiver.cpu:.1f} s CPU, {receiver.peak:.0f} MiB peak  "
                    f"{wall / floor:.2f} x the bare client, {wall / first:.2f} x {given.after[0]}"
                )


if __name__ == "__main__":
    main()
