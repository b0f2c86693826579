"""Measures the cost of listeners at ``/v1/events``: uploads 1,000 files with none and with 50.

    .venv/bin/python bench/pages.py [--files 1000] [--size 204800] [--pages 50] [--rounds 3]

Each listener has its own connection to the control socket and receives all events. Prints files per second and the CPU
seconds of the daemon for each run, then the medians and the slowdown by the listeners in percent.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from once import POOL, Receiver, make_files

from syncd.control.client import ControlClient, ControlError

TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def daemon(folder, url):
    """Start a paused daemon that watches ``inbox``; yield its client and its process id."""
    (folder / "inbox").mkdir()
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "folders": [{"path": "inbox", "remote": "it", "settle": "0s"}],
                "remotes": {"it": {"type": "multipart", "url": url, "pool_id": POOL}},
                "state_dir": "state",
                "control": {"dashboard": "off"},
            }
        )
    )
    child = subprocess.Popen([sys.executable, "-m", "syncd", "run", "-c", str(config)], stderr=subprocess.DEVNULL)
    client = ControlClient(folder / "state" / "control.sock")
    try:
        until(lambda: answers(client))
        client.stop()
        yield client, child.pid
    finally:
        child.terminate()
        child.wait()


def answers(client):
    try:
        return client.status()
    except ControlError:
        return None


def until(reached):
    while not reached():
        time.sleep(0.05)


class Pages:
    """Opens connections to ``/v1/events``; one thread reads and discards the events."""

    def __init__(self, path, count):
        self._selector = selectors.DefaultSelector()
        self.got = 0
        for _ in range(count):
            page = socket.socket(socket.AF_UNIX)
            page.connect(str(path))
            page.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self._selector.register(page, selectors.EVENT_READ)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _read(self):
        while not self._ending.is_set():
            for key, _ in self._selector.select(timeout=0.1):
                self.got += len(key.fileobj.recv(65_536))


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def run(folder, files, count, pages):
    """Return files per second and the CPU seconds of the daemon."""
    folder.mkdir()
    with Receiver(folder / "received") as receiver, daemon(folder, receiver.url) as (client, pid):
        for file in files.iterdir():
            os.link(file, folder / "inbox" / file.name)
        until(lambda: client.status()["jobs"]["queued"] == count)
        with Pages(folder / "state" / "control.sock", pages) as looking:
            time.sleep(1)
            before, began = cpu(pid), time.perf_counter()
            client.start()
            until(lambda: client.status()["jobs"]["done"] == count)
            wall, spent = time.perf_counter() - began, cpu(pid) - before
    each = looking.got / max(1, pages) / 1024
    print(f"{pages:3} listeners  {count / wall:6.0f} files/s  {spent:5.2f} s CPU  {each:5.0f} KiB each", flush=True)
    return count / wall, spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size", type=int, default=200 * 1024)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder / "files", given.files, given.size)
        found = {pages: [] for pages in (0, given.pages)}
        for number in range(given.rounds):
            for pages, runs in found.items():
                runs.append(run(folder / f"{pages}-{number}", folder / "files", given.files, pages))
        (rate, spent), (watched_rate, watched_spent) = (
            [statistics.median(one) for one in zip(*runs, strict=True)] for runs in found.values()
        )
        print(f"medians: {rate:.0f} and {watched_rate:.0f} files/s: {100 * (1 - watched_rate / rate):.1f} % less")
        print(f"CPU: {spent:.2f} and {watched_spent:.2f} s: {100 * (watched_spent / spent - 1):.1f} % more")


if __name__ == "__main__":
    main()
