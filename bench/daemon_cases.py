"""What a running daemon costs: its start, a scan, a rescan, a dropped file, idling. And what the receiver takes."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.bare import main as send_bare
from bench.clients import BUILD, ROOT, make_files, measured, serving, write_config
from syncd.control.client import ControlClient

SYNCD = [sys.executable, "-m", "syncd"]
NOWHERE = "http://127.0.0.1:9"
"""No server listens here: what is found stays in the queue."""
TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """A running ``syncd run``."""

    def __init__(self, work: Path, config: Path) -> None:
        self.config = config
        self._log = (work / "daemon.log").open("wb")
        self.started = time.perf_counter()
        self._child = subprocess.Popen([*SYNCD, "run", "-c", str(config)], stdout=self._log, stderr=self._log)
        self._socket = work / "state" / "control.sock"

    def wait_ready(self) -> float:
        """Return the seconds from the start until the control socket answers."""
        from http.client import HTTPConnection  # noqa: PLC0415 - used here only
        from socket import AF_UNIX, socket  # noqa: PLC0415

        while True:
            with socket(AF_UNIX) as sock:
                try:
                    sock.connect(str(self._socket))
                except OSError:
                    time.sleep(0.005)
                    continue
                connection = HTTPConnection("localhost")
                connection.sock = sock
                connection.request("GET", "/v1/status")
                if connection.getresponse().status == 200:
                    return time.perf_counter() - self.started

    def status(self) -> dict[str, Any]:
        output = subprocess.check_output([*SYNCD, "ctl", "-c", str(self.config), "status", "--json"])
        return dict(json.loads(output))

    def cpu(self) -> float:
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, which: str) -> float:
        """Return ``VmRSS`` or its peak ``VmHWM`` in MB."""
        return int(Path(f"/proc/{self._child.pid}/status").read_text().split(f"{which}:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait()
        self._log.close()


@contextmanager
def daemon(work: Path, config: Path) -> Iterator[Daemon]:
    running = Daemon(work, config)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def workspace() -> Iterator[Path]:
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        yield Path(name)


def queued(status: dict[str, Any]) -> int:
    return int(sum(status["jobs"][state] for state in ("queued", "waiting", "uploading", "failed", "done")))


def start_up(*, quick: bool) -> dict[str, float]:
    """``run`` until the socket answers, and ``ctl status``, beside a bare Python."""
    ready, asked, bare = [], [], []
    with workspace() as work:
        (work / "files").mkdir()
        config = write_config(work, NOWHERE, work / "files", remote={"type": "multipart"})
        for _ in range(3 if quick else 10):
            with daemon(work, config) as running:
                ready.append(running.wait_ready())
                asked.append(measured([*SYNCD, "ctl", "-c", str(config), "status"]).seconds)
            bare.append(measured([sys.executable, "-c", "pass"]).seconds)
    named = {"run_until_ready_s": ready, "ctl_status_s": asked, "bare_python_s": bare}
    return {name: round(statistics.median(values), 4) for name, values in named.items()}


def scans(*, quick: bool) -> dict[str, float]:
    """The first scan until all files are queued; then, when all are uploaded, a pass that only looks."""
    count = 10_000 if quick else 100_000
    folder = make_files(count, 10)
    with workspace() as work, serving() as server:
        config = write_config(work, NOWHERE, folder, remote={"type": "multipart"})
        with daemon(work, config) as running:
            ready = running.wait_ready()
            while queued(running.status()) < count:
                time.sleep(0.05)
            first = time.perf_counter() - running.started - ready
            peak = running.memory("VmHWM")
        started = time.perf_counter()
        sum(entry.stat().st_size for entry in os.scandir(folder))
        walk = time.perf_counter() - started
        shutil.rmtree(work / "state")
        config = write_config(work, server.url, folder, remote={"type": "multipart"})
        command = [*SYNCD, "once", "-c", str(config)]
        measured(command)
        (work / "empty").mkdir()
        empty = write_config(work, server.url, work / "empty", remote={"type": "multipart"})
        idle = min(measured([*SYNCD, "once", "-c", str(empty)]).seconds for _ in range(3))
        config = write_config(work, server.url, folder, remote={"type": "multipart"})
        measured(command)  # the store knows the other folder again
        again = min(measured(command).seconds for _ in range(3)) - idle
    return {
        "files": count,
        "first_scan_s": round(first, 2),
        "first_scan_peak_mb": round(peak),
        "rescan_s": round(again, 3),
        "scandir_and_stat_s": round(walk, 3),
    }


@contextmanager
def daemon_with_uploaded_files(count: int) -> Iterator[Daemon]:
    """Run a daemon whose folder has ``count`` files, all of them uploaded before."""
    folder = make_files(count, 10)
    with workspace() as work, serving() as server:
        config = write_config(work, server.url, folder, remote={"type": "multipart"})
        measured([*SYNCD, "once", "-c", str(config)])
        with daemon(work, config) as running:
            running.wait_ready()
            yield running


def response_during_rescan(*, quick: bool) -> dict[str, float]:
    """Measure the daemon's response times during rescans: a blocked loop delays them."""
    count = 10_000 if quick else 100_000
    with daemon_with_uploaded_files(count) as running:
        client = ControlClient(running.config.parent / "state" / "control.sock")
        while client.status()["folders"][0]["state"] != "watching":
            time.sleep(0.1)
        taken: list[float] = []
        for _ in range(3):
            client.rescan()
            scanning = False
            while True:
                started = time.perf_counter()
                state = client.status()["folders"][0]["state"]
                if state == "scanning":
                    scanning = True
                    taken.append(1000 * (time.perf_counter() - started))
                elif scanning:
                    break
    return {"files": count, "median_ms": round(statistics.median(taken), 2), "longest_ms": round(max(taken), 1)}


def drops(*, quick: bool) -> dict[str, float]:
    """From the end of a copy, or of a rename, until the server has the file; the daemon idles before."""
    taken: dict[str, list[float]] = {"copy": [], "rename": []}
    content = os.urandom(200 * 1024 - 8)
    with workspace() as work, serving() as server:
        inbox, outside = work / "files", work / "outside"
        inbox.mkdir()
        outside.mkdir()
        config = write_config(work, server.url, inbox, remote={"type": "multipart"})
        with daemon(work, config) as running:
            running.wait_ready()
            time.sleep(1)  # the first scan is no part of this
            sent = server.stats()["Files"]
            for number in range(20 if quick else 200):
                how = ("copy", "rename")[number % 2]
                data = number.to_bytes(8, "big") + content
                path = inbox / f"{number}.jpg"
                if how == "copy":
                    path.write_bytes(data)
                else:
                    (outside / path.name).write_bytes(data)
                    (outside / path.name).rename(path)
                started = time.perf_counter()
                while server.stats()["Files"] == sent:
                    pass
                taken[how].append(1000 * (time.perf_counter() - started))
                sent += 1
                time.sleep(0.05)
    result = {}
    for how, values in taken.items():
        result[f"{how}_median_ms"] = round(statistics.median(values), 1)
        result[f"{how}_99th_percentile_ms"] = round(sorted(values)[-1 - len(values) // 100], 1)
    return result


def idle(*, quick: bool) -> dict[str, float]:
    """CPU and memory of a daemon that has nothing to do."""
    count, seconds = (10_000, 10) if quick else (100_000, 60)
    with daemon_with_uploaded_files(count) as running:
        time.sleep(15)
        before = running.cpu()
        time.sleep(seconds)
        used = running.cpu() - before
        return {
            "files": count,
            "cpu_percent": round(100 * used / seconds, 3),
            "rss_mb": round(running.memory("VmRSS")),
        }


def receiver(*, quick: bool) -> dict[str, float]:
    """The receiver with its default settings, under the bare loop."""
    import asyncio  # noqa: PLC0415 - only here

    count = 200 if quick else 2000
    folder = make_files(count, 200 * 1024)
    with workspace() as work:
        command = [*SYNCD, "serve", "--dir", str(work / "received"), "--port", "0"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        assert child.stdout is not None
        url = child.stdout.readline().split()[0]
        started = time.perf_counter()
        asyncio.run(send_bare(url, str(folder), "direct", 16, 1))
        seconds = time.perf_counter() - started
        child.terminate()
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        child.stdout.close()
    cpu = usage.ru_utime + usage.ru_stime
    return {"files_per_second": round(count / seconds), "cpu_ms_per_file": round(1000 * cpu / count, 2)}


MEASUREMENTS: dict[str, Callable[..., dict[str, float]]] = {
    "start-up": start_up,
    "first scan and rescan": scans,
    "response during a rescan": response_during_rescan,
    "drop to stored": drops,
    "idle": idle,
    "receiver": receiver,
}
