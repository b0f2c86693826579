"""Measures the speed of previews (rendered, cached on disk, cached by the browser) and memory.

    .venv/bin/python bench/previews.py [--photos 100] [--megapixels 12] [--connections 6]

The photos are JPEG images of fine noise, which take longer to decode than most photos of a camera. Afterwards one file
of 1 GiB is put into the folder, to measure the memory of its upload.
"""

import argparse
import asyncio
import io
import os
import tempfile
import time
from pathlib import Path

import aiohttp
from pages import daemon, until
from PIL import Image

from syncd.control.job_targets import encode_target
from syncd.control.service import JobQuery

GIB = 1024**3


def photo(megapixels):
    side = int((megapixels * 1e6 / 12) ** 0.5)
    data = io.BytesIO()
    Image.effect_noise((side * 4, side * 3), 20).convert("RGB").save(data, "JPEG", quality=85)
    return data.getvalue()


def peak(pid):
    """Return the peak memory of a process in MiB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def ask(session, job, known):
    headers = {"If-None-Match": known[job]} if job in known else {}
    async with session.get("/v1/preview", params={"job": job}, headers=headers) as answer:
        await answer.read()
        return job, answer.headers["ETag"]


async def gallery(session, jobs, known, what):
    began = time.perf_counter()
    tags = await asyncio.gather(*(ask(session, job, known) for job in jobs))
    print(f"{what:20} {len(jobs) / (time.perf_counter() - began):6.0f} previews/s", flush=True)
    return dict(tags)


async def large():
    piece = os.urandom(256 * 1024)
    for _ in range(GIB // len(piece)):
        yield piece


async def measure(socket, inbox, jobs, pid, connections):
    connector = aiohttp.UnixConnector(str(socket), limit=connections)
    async with aiohttp.ClientSession("http://syncd", connector=connector) as session:
        print(f"daemon: {peak(pid):.0f} MiB", flush=True)
        tags = await gallery(session, jobs, {}, "made")
        await gallery(session, jobs, {}, "kept on disk")
        await gallery(session, jobs, tags, "known to the browser")
        print(f"daemon: {peak(pid):.0f} MiB at most", flush=True)
        began = time.perf_counter()
        query = {"folder": encode_target(str(inbox)), "name": "large.tif"}
        async with session.put("/v1/drop", params=query, data=large(), headers={"Content-Length": str(GIB)}) as answer:
            answer.raise_for_status()
        print(f"{'dropped':20} {1024 / (time.perf_counter() - began):6.0f} MiB/s", flush=True)
        print(f"daemon: {peak(pid):.0f} MiB at most", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--connections", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, daemon(Path(name), "http://127.0.0.1:9") as (client, pid):
        data = photo(given.megapixels)
        print(f"{given.photos} photos of {given.megapixels:g} megapixels and {len(data) / 1024**2:.1f} MiB")
        for number in range(given.photos):
            (Path(name) / "inbox" / f"{number}.jpg").write_bytes(data)
        until(lambda: client.status()["jobs"]["queued"] == given.photos)
        jobs = [job["id"] for job in client.jobs(JobQuery(limit=1000))["jobs"]]
        asyncio.run(measure(Path(name) / "state" / "control.sock", Path(name) / "inbox", jobs, pid, given.connections))


if __name__ == "__main__":
    main()
