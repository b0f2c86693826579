"""Runs syncd commands and controls a receiver or a daemon as a process.

A command runs in this process or as a separate one.
"""

import atexit
import base64
import functools
import http.client
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syncd.cli import main
from syncd.control.client import ControlClient, NotRunningError
from syncd.control.service import JobQuery
from tests.support.config import base_settings, image_remote, multipart_remote, write_settings
from tests.support.preloaded import Preloader
from tests.support.wait import wait_until_sync

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def command_line(*arguments):
    """Return the command line that runs ``syncd`` with ``arguments`` as a process."""
    return [sys.executable, "-m", "syncd", *map(str, arguments)]


def run_main(*arguments):
    """Run a command in this process, which is faster than a process; return its result."""
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["syncd", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = argv
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return CommandResult(ended.value.code, out.getvalue(), err.getvalue())


def run_command(*arguments, **options):
    """Run a command as a process until it ends, with options of ``subprocess.run``.

    Returns its result. Fails if it printed a traceback.
    """
    options = {"stdin": subprocess.DEVNULL} | options
    ended = subprocess.run(
        command_line(*arguments), check=False, capture_output=True, text=True, encoding="utf-8", **options
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return CommandResult(ended.returncode, ended.stdout, ended.stderr)


@functools.cache
def _preloader():
    """Return the preloader of this test process, which ends together with it."""
    preloader = Preloader()
    atexit.register(preloader.close)
    return preloader


class SyncdProcess:
    """A syncd command that runs as a process and appends its log to a file.

    ``child`` is None before the start.
    """

    def __init__(self, log):
        self.log = Path(log)
        self.child = None
        self.prefix = ()  # a command to run it under
        self.preload = sys.platform != "win32"  # False: a start that imports everything, as a user's does

    @property
    def pid(self):
        return self.child.pid

    def spawn(self, *arguments, env=None):
        """Start the process; ``env`` is added to this process's environment."""
        env = {**os.environ, **(env or {})}
        with self.log.open("ab") as log:
            if self.preload and not self.prefix:
                self.child = _preloader().start([*map(str, arguments)], stderr=log, env=env)
                return
            self.child = subprocess.Popen(
                [*self.prefix, *command_line(*arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
            )

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """Kill the process, as the closest equivalent of a power cut; no effect after its end."""
        if self.is_running():
            self.child.kill()
        self._reap()

    def terminate(self, timeout=5.0):
        """Send SIGTERM, wait until the process ends, and return its exit code."""
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout)
        self._reap()
        return code

    def _reap(self):
        if self.child is not None:
            self.child.wait(10)
            self.child.stdout.close()

    def events(self, name=None):
        """Return the events of the log, which must be JSON: all, or those with one name."""
        events = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [event for event in events if name is None or event["event"] == name]


class ReceiverProcess(SyncdProcess):
    """``syncd serve`` for the files in ``folder``; a context manager that starts and kills it.

    The process keeps its port when it is started again.
    """

    def __init__(self, folder, *options, port=0):
        super().__init__(f"{folder}.log")
        self.folder = folder
        self._options = options
        self.port = port

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Start the receiver and wait until it listens."""
        self.spawn("serve", "--dir", self.folder, "--port", self.port, *self._options)
        line = self.child.stdout.readline().decode().split()
        assert line, self.log.read_text()
        self.url = line[0]
        self.port = urlsplit(self.url).port

    def get(self, path):
        """Request ``path``; return the status and the body."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def counters(self):
        return json.loads(self.get("/v1/receiver")[1])

    def chunk_requests(self):
        counters = self.counters()
        return counters["chunks_received"] + counters["chunks_repeated"]

    def content(self, job):
        """Return the bytes that the server stores for a job that is done."""
        if job["remote"] == "drive":
            status, body = self.get(f"/api/files/{job['ref']}")
            assert status == 200, (job, body)
            return body
        digest, _, encoding = job["ref"].partition(":")
        status, body = self.get(f"/image/{digest}")
        assert status == 200, (job, body)
        return body if encoding == "text" else base64.b64decode(body, altchars=b"-_", validate=True)


class DaemonProcess(SyncdProcess):
    """``syncd run`` for ``folder/inbox``, with the remotes ``drive`` and ``ascii`` at ``url``.

    A test can change ``settings``, which :meth:`start` writes to ``config``.
    """

    def __init__(self, folder, url, **scheduler):
        super().__init__(folder / "daemon.log")
        self.inbox = folder / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.config = folder / "config.yaml"
        self.settings = base_settings(
            url,
            folders=[{"path": "inbox", "remote": ["drive", "ascii"], "settle": "300ms"}],
            remotes={
                "ascii": image_remote(url, chunk_size="256KiB"),
                "drive": multipart_remote(url, chunk_size="1MiB"),
            },
            scheduler=scheduler,
            logging={"format": "json", "each_file": True},
        )

    def write_settings(self):
        write_settings(self.config, self.settings)

    def start(self, *, wait=True):
        """Write the settings, start the daemon, and ``wait`` until it answers."""
        self.write_settings()
        self.spawn("run", "-c", self.config)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self):
        wait_until_sync(self.is_ready, self.log.read_text)

    def is_ready(self):
        """Return whether the control socket answers; fail if the process has ended."""
        assert self.is_running(), self.log.read_text()
        try:
            return bool(self.client.status())
        except NotRunningError:
            return False

    @property
    def client(self):
        return ControlClient(self.state / "control.sock")

    def jobs(self, state=None):
        """Return all jobs, or those in ``state``, page by page."""
        found, cursor = [], None
        while True:
            page = self.client.jobs(JobQuery(state=state, limit=500, before=cursor))
            found += page["jobs"]
            cursor = page["next"]
            if cursor is None:
                return found

    def wait_for_counts(self, timeout=TIMEOUT_SECONDS, **expected):
        """Wait until the status has the ``expected`` number of jobs of each state that is named."""
        counts = {}

        def reached():
            counts.update(self.client.status()["jobs"])
            return all(counts[state] == number for state, number in expected.items())

        wait_until_sync(reached, lambda: f"{expected}; the counts are {counts}", timeout)

    def wait_for_states(self, path, states, timeout=TIMEOUT_SECONDS):
        """Wait until all jobs of the file ``path`` are in one of ``states``; return them."""

        def reached():
            try:
                jobs = self.client.show(str(path))
            except Exception:  # noqa: BLE001 - not known yet
                return False
            return jobs if all(job["state"] in states for job in jobs) else False

        return wait_until_sync(reached, lambda: f"{path} is {states}", timeout)

    def acknowledged_chunks(self):
        """Return the number of acknowledged chunks of each remote in the store.

        The daemon must not be running.
        """
        with closing(sqlite3.connect(self.state / "syncd.db")) as store:
            return dict(
                store.execute(
                    "SELECT remotes.name, count(*) FROM chunks JOIN sessions ON sessions.id = session_id"
                    " JOIN remotes ON remotes.id = remote_id GROUP BY 1"
                ).fetchall()
            )
