"""The demo's environment: a private folder, and a receiver and a daemon as child processes."""

import json
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from syncd.cli.demo.process import Child, child
from syncd.cli.errors import CommandError, ExitCode
from syncd.config.paths import control_socket
from syncd.control.client import ControlClient, ControlError
from syncd.platform import user
from syncd.platform.lock import LOCK_NAME, AlreadyRunningError, StateLock

MARKER = ".syncd-demo"
"""A folder with this file belongs to the demo, which may empty it."""
START_TIMEOUT_SECONDS = 30.0
"""Time for a child process to get ready."""

_CONFIG = """\
# The demo's configuration: one folder, two remotes.
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


class DemoEnvironment:
    """The demo's folder, its paths, and a client of its daemon. Created by :func:`set_up`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.inbox = os.path.join(folder, "inbox")
        self.config = os.path.join(folder, "config.yaml")
        self.daemon_log = os.path.join(folder, "run.log")
        self.client = ControlClient(control_socket(Path(folder) / "state"), timeout=10)
        self.url = ""
        self._daemon: Child | None = None

    def ended(self) -> bool:
        """Return whether the daemon was shut down. Raises :class:`CommandError` if it crashed."""
        code = self._daemon.poll() if self._daemon else None
        if code:
            raise _start_error("the daemon", self.daemon_log)
        return code == 0

    @contextmanager
    def services(self, port: int) -> Iterator[None]:
        """Run the receiver on ``port`` (0: any free port) and the daemon during the context."""
        with ExitStack() as stack:
            self.url = stack.enter_context(self._receiver(port))
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(_CONFIG.format(url=json.dumps(self.url)))
            self._daemon = stack.enter_context(child(self.daemon_log, "run", "-c", self.config, end=self._end))
            self._wait_for_daemon()
            yield

    def _end(self, daemon: Child) -> None:
        """Shut the daemon down by its API, as ``terminate`` kills it on Windows."""
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
            late = threading.Timer(START_TIMEOUT_SECONDS, process.kill)
            late.start()
            try:
                line = process.stdout.readline()
            finally:
                late.cancel()
                late.join()
            if not line:
                raise _start_error("the receiver", log)
            yield line.split()[0]

    def _wait_for_daemon(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                self.client.status()
            except ControlError:
                if self.ended():
                    break
                time.sleep(0.05)
            else:
                return
        raise _start_error("the daemon", self.daemon_log)


@contextmanager
def set_up(folder: str | None) -> Iterator[DemoEnvironment]:
    """Empty and lock the demo's folder during the context; the default is in the temporary folder.

    Raises :class:`CommandError` for a folder that the demo has not created.
    """
    chosen = os.path.abspath(folder or os.path.join(tempfile.gettempdir(), user.per_user_name("syncd-demo")))
    _claim(chosen)
    try:
        with StateLock(chosen):
            for entry in os.scandir(chosen):
                if entry.name not in (LOCK_NAME, MARKER):
                    shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
            environment = DemoEnvironment(chosen)
            os.mkdir(environment.inbox)
            yield environment
    except AlreadyRunningError as error:
        text = f"another demo (pid {error.pid}) uses {chosen}; end it, or use another --dir"
        raise CommandError(text, code=ExitCode.BUSY) from None


def _claim(folder: str) -> None:
    """Create and mark the folder, or check that it is a folder of the demo."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        info = os.lstat(folder)
        if not stat.S_ISDIR(info.st_mode) or not user.owns(info):
            raise CommandError(f"{folder} is not your folder; use another --dir", code=ExitCode.FAILED) from None
        if os.listdir(folder) and not os.path.exists(os.path.join(folder, MARKER)):
            raise CommandError(
                f"{folder} contains other files than the demo's; use another --dir", code=ExitCode.FAILED
            ) from None
        os.chmod(folder, 0o700)
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as marker:
        marker.write("syncd demo empties this folder each time.\n")


def _start_error(who: str, log: str) -> CommandError:
    with open(log, encoding="utf-8", errors="replace") as file:
        last = next(reversed(file.read(100_000).splitlines()), "no output")
    return CommandError(f"{who} failed: {last.removeprefix('syncd: ')} (see {log})", code=ExitCode.FAILED)
