"""Where the demonstration plays: a folder that is its own, and a receiver and a daemon as child processes."""

import ctypes
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from syncd.cli.faults import Exit, Fault
from syncd.cli.serve import TOKEN
from syncd.control.client import ControlClient, ControlError
from syncd.host.lock import LOCK_NAME, AlreadyRunning, StateLock

MARKER = ".syncd-demo"
"""A folder that holds this file is ours to empty."""
START = 30.0
"""Seconds that a child may take to be ready."""
END = 10.0
"""Seconds that a child may take to end by itself."""

_CONFIG = """\
# The demonstration's configuration: one folder, to both services.
folders:
  - path: inbox
    remote: [drive, ascii]
remotes:
  drive: {{type: multipart, url: {url}, pool_id: 00000000-0000-0000-0000-000000000000}}
  ascii: {{type: image, url: {url}}}
state_dir: state
control: {{dashboard: "127.0.0.1:0"}}
logging: {{format: console}}
"""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Stage:
    """The folder and what is in it. Made by :func:`set_up`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.inbox = os.path.join(folder, "inbox")
        self.config = os.path.join(folder, "config.yaml")
        self.daemon_log = os.path.join(folder, "run.log")
        self.client = ControlClient(os.path.join(folder, "state", "control.sock"), timeout=10)
        self.url = ""
        self._daemon: subprocess.Popen[str] | None = None

    def ended(self) -> bool:
        """Say whether the daemon was shut down in order; a fault if it died."""
        code = self._daemon.poll() if self._daemon else None
        if code:
            raise _death("the daemon", self.daemon_log)
        return code == 0

    @contextmanager
    def playing(self, port: int) -> Iterator[None]:
        """Run receiver and daemon as long as the context lasts."""
        with ExitStack() as stack:
            self.url = stack.enter_context(self._receiver(port))
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(_CONFIG.format(url=json.dumps(self.url)))
            self._daemon = stack.enter_context(_child(self.daemon_log, "run", "-c", self.config))
            self._wait_for_daemon()
            yield

    @contextmanager
    def _receiver(self, port: int) -> Iterator[str]:
        log = os.path.join(self.folder, "serve.log")
        with _child(log, "serve", "--dir", os.path.join(self.folder, "received"), "--port", str(port)) as process:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], START)
            line = process.stdout.readline() if ready else ""
            if not line:
                raise _death("the receiver", log)
            yield line.split()[0]

    def _wait_for_daemon(self) -> None:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            try:
                self.client.status()
            except ControlError:
                if self.ended():
                    break
                time.sleep(0.05)
            else:
                return
        raise _death("the daemon", self.daemon_log)


@contextmanager
def set_up(folder: str | None) -> Iterator[Stage]:
    """Empty ``folder`` (default: one of this user's among the temporary ones) and hold it as long as the context lasts.

    Only a folder that is ours is emptied; a fault for any other.
    """
    chosen = os.path.abspath(folder or os.path.join(tempfile.gettempdir(), f"syncd-demo-{os.geteuid()}"))
    _claim(chosen)
    try:
        with StateLock(chosen):
            for entry in os.scandir(chosen):
                if entry.name not in (LOCK_NAME, MARKER):
                    shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
            stage = Stage(chosen)
            os.mkdir(stage.inbox)
            yield stage
    except AlreadyRunning as error:
        text = f"another demo (pid {error.pid}) plays in {chosen}: end it, or give another --dir"
        raise Fault(text, code=Exit.BUSY) from None


def _claim(folder: str) -> None:
    """Make the folder and mark it, or see that it is ours."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        info = os.lstat(folder)
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            raise Fault(f"{folder} is not a folder of yours: give another --dir", code=Exit.FAILED) from None
        if os.listdir(folder) and not os.path.exists(os.path.join(folder, MARKER)):
            raise Fault(
                f"{folder} has files in it that are not the demo's: give another --dir", code=Exit.FAILED
            ) from None
        os.chmod(folder, 0o700)
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as marker:
        marker.write("syncd demo empties this folder each time.\n")


@contextmanager
def _child(log: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run syncd as a child that ends with the context, or with this process if that is killed."""
    environment = {name: value for name, value in os.environ.items() if name != TOKEN}
    with open(log, "w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "syncd", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us; we end the children in order
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread runs yet, and it is one system call
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _death(who: str, log: str) -> Fault:
    with open(log, encoding="utf-8", errors="replace") as file:
        last = next(reversed(file.read(100_000).splitlines()), "it said nothing")
    return Fault(f"{who} did not come up or died: {last.removeprefix('syncd: ')} (more in {log})", code=Exit.FAILED)
