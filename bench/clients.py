"""The programs that are compared, and the server that they send to.

Each run is a process of its own, which is measured from its start to its end.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
TOKEN_FREE = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of one client: wall and CPU seconds, and the peak of its memory in MB."""

    seconds: float
    cpu: float
    peak: float


class Server:
    """The load server, with the flags that make it far, slow or weak. See ``server/main.go``."""

    def __init__(self, *flags: str) -> None:
        self._child = subprocess.Popen([str(server_program()), *flags], stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        self.url = self._child.stdout.readline().strip()

    def stats(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/stats") as response:
            return dict(json.load(response))

    def reset(self) -> None:
        urllib.request.urlopen(f"{self.url}/reset", data=b"").close()

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait()


@contextmanager
def serving(*flags: str) -> Iterator[Server]:
    server = Server(*flags)
    try:
        yield server
    finally:
        server.stop()


def server_program() -> Path:
    """Build the load server; None of its modules comes from elsewhere."""
    program = BUILD / "server"
    sources = list((ROOT / "bench" / "server").glob("*.go"))
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        if shutil.which("go") is None:
            raise SystemExit("bench: go is not installed: apt-get install golang-go")
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "build", "-o", str(program), "."], cwd=ROOT / "bench" / "server", check=True)
    return program


def measured(command: list[str], *, expected: int = 0, **options: Any) -> Run:
    """Run a command to its end; SystemExit with its output if it fails."""
    log = BUILD / "last.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=output, **options)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != expected:
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return Run(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024)


Client = Callable[[str, Path], Run]
"""Sends all files of a folder to a server, and says what that took."""


def write_config(work: Path, url: str, folder: Path, *, remote: dict[str, Any], **settings: Any) -> Path:
    config = work / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "state_dir": str(work / "state"),
                "folders": [{"path": str(folder), "remote": "server", "settle": "0s"}],
                "remotes": {"server": {"url": url, **remote}},
                **settings,
            }
        )
    )
    config.chmod(0o600)
    return config


def syncd(**remote: Any) -> Client:
    """``syncd once`` with a fresh store. ``concurrency`` fixes the requests in flight."""
    concurrency = remote.pop("concurrency", None)
    settings = {} if concurrency is None else {"scheduler": {"concurrency": concurrency}}

    def run(url: str, folder: Path) -> Run:
        work = BUILD / "syncd"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        config = write_config(work, url, folder, remote={"type": "multipart"} | remote, **settings)
        return measured([sys.executable, "-m", "syncd", "once", "-c", str(config)])

    return run


def bare(kind: str, in_flight: int, *chunk: int) -> Client:
    """The requests alone, see :mod:`bench.bare`."""
    return lambda url, folder: measured(
        [sys.executable, "-m", "bench.bare", url, str(folder), kind, str(in_flight), *map(str, chunk)], cwd=ROOT
    )


def rclone(transfers: int) -> Client:
    """``rclone copy`` to S3."""

    def run(url: str, folder: Path) -> Run:
        options = ["--transfers", str(transfers), "--checkers", str(max(8, transfers)), "--s3-no-check-bucket"]
        options += ["--s3-upload-cutoff", "4Gi", "--multi-thread-streams", "0"]  # the server takes whole objects only
        remote = f":s3,provider=Other,endpoint='{url}',access_key_id=bench,secret_access_key=bench:bucket/"
        return measured([peer("rclone"), "--config", os.devnull, "copy", str(folder), remote, *options])

    return run


def s5cmd(workers: int) -> Client:
    """``s5cmd cp`` to S3."""

    def run(url: str, folder: Path) -> Run:
        command = [peer("s5cmd"), "--endpoint-url", url, "--numworkers", str(workers), "--log", "error"]
        return measured([*command, "cp", f"{folder}/", "s3://bucket/"], env={**os.environ, **TOKEN_FREE})

    return run


def peer(name: str) -> str:
    """Return the program of a peer, or an empty string without it."""
    program = BUILD / "peers" / "bin" / name
    return str(program) if program.exists() else ""


def make_files(count: int, size: int) -> Path:
    """Return a folder of random files, made once."""
    folder = BUILD / "files" / f"{count}x{size}"
    if not folder.exists():
        making = folder.with_suffix(".new")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for number in range(count):
            with (making / f"{number:06}.jpg").open("wb") as file:
                for start in range(0, size, 1 << 20):
                    file.write(os.urandom(min(1 << 20, size - start)))
        making.rename(folder)
    return folder
