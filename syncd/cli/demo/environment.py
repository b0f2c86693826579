"""Where the demonstration plays: a folder that is its own, and a receiver and a daemon as child processes."""

import json
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from syncd.cli.demo.process import Child, child
from syncd.cli.errors import Exit, Fault
from syncd.config.paths import control_socket
from syncd.control.client import ControlClient, ControlError
from syncd.platform.lock import LOCK_NAME, AlreadyRunning, StateLock

MARKER = ".syncd-demo"
"""A folder that holds this file is ours to empty."""
START = 30.0
"""Seconds that a child may take to be ready."""

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

if sys.platform == "win32":
    _NAME = "syncd-demo"  # the temporary folder is this user's own

    def _is_ours(_info: os.stat_result) -> bool:
        return True  # who may empty it says its access control list

else:
    _NAME = f"syncd-demo-{os.geteuid()}"

    def _is_ours(info: os.stat_result) -> bool:
        return info.st_uid == os.geteuid()


class Stage:
    """The folder and what is in it. Made by :func:`set_up`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.inbox = os.path.join(folder, "inbox")
        self.config = os.path.join(folder, "config.yaml")
        self.daemon_log = os.path.join(folder, "run.log")
        self.client = ControlClient(control_socket(Path(folder) / "state"), timeout=10)
        self.url = ""
        self._daemon: Child | None = None

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
            self._daemon = stack.enter_context(child(self.daemon_log, "run", "-c", self.config, end=self._end))
            self._wait_for_daemon()
            yield

    def _end(self, daemon: Child) -> None:
        """Have the daemon end in order: to terminate it would be to kill it on Windows."""
        try:
            self.client.shutdown()
        except ControlError:
            daemon.terminate()

    @contextmanager
    def _receiver(self, port: int) -> Iterator[str]:
        log = os.path.join(self.folder, "serve.log")
        folder = os.path.join(self.folder, "received")
        with child(log, "serve", "--dir", folder, "--port", str(port), "--reserve", "0") as process:
            assert process.stdout is not None
            late = threading.Timer(START, process.kill)
            late.start()
            try:
                line = process.stdout.readline()
            finally:
                late.cancel()
                late.join()
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
    chosen = os.path.abspath(folder or os.path.join(tempfile.gettempdir(), _NAME))
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
        if not stat.S_ISDIR(info.st_mode) or not _is_ours(info):
            raise Fault(f"{folder} is not a folder of yours: give another --dir", code=Exit.FAILED) from None
        if os.listdir(folder) and not os.path.exists(os.path.join(folder, MARKER)):
            raise Fault(
                f"{folder} has files in it that are not the demo's: give another --dir", code=Exit.FAILED
            ) from None
        os.chmod(folder, 0o700)
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as marker:
        marker.write("syncd demo empties this folder each time.\n")


def _death(who: str, log: str) -> Fault:
    with open(log, encoding="utf-8", errors="replace") as file:
        last = next(reversed(file.read(100_000).splitlines()), "it said nothing")
    return Fault(f"{who} did not come up or died: {last.removeprefix('syncd: ')} (more in {log})", code=Exit.FAILED)
