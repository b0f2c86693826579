"""Creates the demo's private folder, and runs a receiver and a daemon in it.

``demo.process`` starts them as child processes.
"""

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
"""A folder with this file belongs to the demo, which empties it."""
START_TIMEOUT_SECONDS = 30.0
"""Longest time until a child process is ready."""

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
    """The demo's folder, its paths and its child processes; :func:`set_up` creates it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.inbox = os.path.join(folder, "inbox")
        self.config = os.path.join(folder, "config.yaml")
        self.daemon_log = os.path.join(folder, "run.log")
        self.client = ControlClient(control_socket(Path(folder) / "state"), timeout=10)
        self.url = ""
        self._daemon: Child | None = None

    def ended(self) -> bool:
        """Return whether the daemon was shut down.

        Raises :class:`CommandError` if it crashed.
        """
        code = self._daemon.poll() if self._daemon else None
        if code:
            raise _child_error("the daemon", self.daemon_log)
        return code == 0

    @contextmanager
    def services(self, port: int) -> Iterator[None]:
        """Run the receiver and the daemon during the context.

        ``port`` is the receiver's port, 0 for any free one.
        """
        with ExitStack() as stack:
            self.url = stack.enter_context(self._receiver(port))
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(_CONFIG.format(url=json.dumps(self.url)))
            self._daemon = stack.enter_context(child(self.daemon_log, "run", "-c", self.config, end=self._end))
            self._wait_for_daemon()
            yield

    def _end(self, daemon: Child) -> None:
        """Shut the daemon down by its API, because ``terminate`` kills it on Windows."""
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
            timer = threading.Timer(START_TIMEOUT_SECONDS, process.kill)
            timer.start()
            try:
                line = process.stdout.readline()
            finally:
                timer.cancel()
                timer.join()
            if not line:
                raise _child_error("the receiver", log)
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
        raise _child_error("the daemon", self.daemon_log)


@contextmanager
def set_up(folder: str | None) -> Iterator[DemoEnvironment]:
    """Empty the demo's folder and lock it during the context.

    The default is a folder in the temporary folder. Raises :class:`CommandError` for a folder that the demo has not
    created, or that another demo uses.
    """
    chosen = os.path.abspath(folder or os.path.join(tempfile.gettempdir(), user.per_user_name("syncd-demo")))
    _prepare_folder(chosen)
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


def _prepare_folder(folder: str) -> None:
    """Create the folder with its marker, or check that it belongs to the demo."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        info = os.lstat(folder)
        if not stat.S_ISDIR(info.st_mode) or not user.owns(info):
            raise CommandError(f"{folder} is not your folder; use another --dir", code=ExitCode.FAILED) from None
        if os.listdir(folder) and not os.path.exists(os.path.join(folder, MARKER)):
            raise CommandError(
                f"{folder} has files that are not the demo's; use another --dir", code=ExitCode.FAILED
            ) from None
        os.chmod(folder, 0o700)
    with open(os.path.join(folder, MARKER), "w", encoding="utf-8") as marker:
        marker.write("syncd demo empties this folder each time.\n")


def _child_error(name: str, log: str) -> CommandError:
    with open(log, encoding="utf-8", errors="replace") as file:
        last = next(reversed(file.read(100_000).splitlines()), "no output")
    return CommandError(f"{name} failed: {last.removeprefix('syncd: ')} (see {log})", code=ExitCode.FAILED)
