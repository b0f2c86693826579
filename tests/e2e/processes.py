"""Real ``syncd run`` and ``syncd serve`` processes, and what a person would ask of them."""

import base64
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from syncd.control.client import ControlClient, NotRunningError
from syncd.control.service import JobQuery
from tests.support.data import POOL
from tests.support.wait import wait_until_sync

TIMEOUT_SECONDS = 120.0


class Process:
    """A child that writes its log to a file."""

    def __init__(self, log):
        self.log = Path(log)
        self.child = None
        self.around = ()  # a command to run it under

    def spawn(self, *arguments, env=None):
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [*self.around, sys.executable, "-m", "syncd", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(env or {})},
            )

    def running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """End it as a power cut would, as far as a process can feel one."""
        if self.running():
            self.child.send_signal(signal.SIGKILL)
        self._reap()

    def end(self, timeout=5.0):
        """Ask it to end; returns its exit code."""
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout)
        self._reap()
        return code

    def _reap(self):
        if self.child is not None:
            self.child.wait(10)
            self.child.stdout.close()

    def events(self, name=None):
        """Return the log's events, all or those of one name."""
        events = []
        for line in self.log.read_text().splitlines():
            event = json.loads(line)
            if name is None or event["event"] == name:
                events.append(event)
        return events


class Receiver(Process):
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
        self.spawn("serve", "--dir", self.folder, "--port", self.port, *self._options)
        self.url = self.child.stdout.readline().decode().split()[0]
        self.port = urlsplit(self.url).port  # the next start is at the same address

    def get(self, path):
        """GET as any HTTP client would; returns status and body."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def counters(self):
        return json.loads(self.get("/v1/receiver")[1])

    def chunk_requests(self):
        counters = self.counters()
        return counters["chunks_received"] + counters["chunks_repeated"]

    def content(self, job):
        """Return the bytes that the server has for a job that is done."""
        if job["remote"] == "drive":
            status, body = self.get(f"/api/files/{job['ref']}")
            assert status == 200, (job, body)
            return body
        digest, _, encoding = job["ref"].partition(":")
        status, body = self.get(f"/image/{digest}")
        assert status == 200, (job, body)
        return body if encoding == "text" else base64.b64decode(body, altchars=b"-_", validate=True)


class Daemon(Process):
    def __init__(self, folder, url, **scheduler):
        super().__init__(folder / "daemon.log")
        self.inbox = folder / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.config = folder / "config.yaml"
        self.settings = {
            "folders": [{"path": "inbox", "remote": ["drive", "ascii"], "settle": "300ms"}],
            "remotes": {
                "drive": {"type": "multipart", "url": url, "pool_id": POOL, "chunk_size": "1MiB"},
                "ascii": {"type": "image", "url": url, "chunk_size": "256KiB"},
            },
            "scheduler": scheduler,
            "state_dir": "state",
            "control": {"dashboard": "off"},
            "logging": {"format": "json"},
        }

    def launch(self):
        """Start it, and do not wait until it has come up."""
        self.config.write_text(yaml.safe_dump(self.settings))
        self.spawn("run", "-c", self.config)

    def start(self):
        self.launch()
        wait_until_sync(self.answers, self.log.read_text)

    def answers(self):
        assert self.running(), self.log.read_text()
        try:
            return self.ctl.status()
        except NotRunningError:
            return False

    @property
    def ctl(self):
        return ControlClient(self.state / "control.sock")

    def jobs(self, state=None):
        """Return all jobs, page by page."""
        found, cursor = [], None
        while True:
            page = self.ctl.jobs(JobQuery(state=state, limit=500, before=cursor))
            found += page["jobs"]
            cursor = page["next"]
            if cursor is None:
                return found

    def until_counts(self, timeout=TIMEOUT_SECONDS, **wanted):
        """Wait until the status counts so many jobs."""
        seen = {}

        def reached():
            seen.update(self.ctl.status()["jobs"])
            return all(seen[state] == number for state, number in wanted.items())

        wait_until_sync(reached, lambda: f"{wanted}; there are {seen}", timeout)

    def until_shown(self, path, states, timeout=TIMEOUT_SECONDS):
        """Wait until all jobs of a file are in one of these states, after its last change; returns them."""

        def shown():
            try:
                jobs = self.ctl.show(str(path))
            except Exception:  # noqa: BLE001 - not known yet
                return False
            return jobs if all(job["state"] in states for job in jobs) else False

        return wait_until_sync(shown, lambda: f"{path} is {states}", timeout)

    def acknowledged(self):
        """Return how many chunks the store holds as acknowledged; for when the daemon is not running."""
        with closing(sqlite3.connect(self.state / "syncd.db")) as store:
            return dict(
                store.execute(
                    "SELECT remotes.name, count(*) FROM chunks JOIN sessions ON sessions.id = session_id"
                    " JOIN remotes ON remotes.id = remote_id GROUP BY 1"
                ).fetchall()
            )
