"""A watched folder on Windows, with real `syncd run` and `syncd serve` processes."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from syncd.config import discovery
from syncd.control.client import ControlClient, NotRunningError
from syncd.control.service import JobQuery
from syncd.platform.files import join_path
from tests.support.config import multipart_remote, write_settings
from tests.support.wait import wait_until_sync


def syncd(log, *arguments):
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "syncd", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        )


class Harness:
    """A watched folder, a receiver, and the configuration for both."""

    def __init__(self, base: Path, url: str) -> None:
        self.base, self.inbox, self.received = base, base / "inbox", base / "received"
        self.inbox.mkdir()
        self.config = base / "config.yaml"
        self.folder = {"path": str(self.inbox), "remote": "drive", "settle": "200ms"}
        self.settings = {
            "folders": [self.folder],
            "remotes": {"drive": multipart_remote(url)},
            "scheduler": {"retry": {"initial": "10ms", "max": "1s"}},
            "state_dir": str(base / "state"),
        }
        self.write()
        self.client = ControlClient(self.pipe())
        self.daemon: subprocess.Popen[str] | None = None

    def write(self):
        write_settings(self.config, self.settings)

    def pipe(self):
        return discovery.control_socket(self.config)

    def start(self):
        self.write()
        self.daemon = syncd(self.base / "log", "run", "-c", self.config)
        wait_until_sync(self.answers, "the daemon answers")

    def answers(self):
        assert self.daemon.poll() is None, (self.base / "log").read_text()
        try:
            return self.client.status()
        except NotRunningError:
            return None

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.client.shutdown()
            assert self.daemon.wait(30) == 0
        if self.daemon:
            self.daemon.stdout.close()

    def states(self):
        """Return the state of each file, by its path in the folder."""
        jobs = self.client.jobs(JobQuery(limit=1000))["jobs"]
        return {job["path"].replace("\\", "/").split("/inbox/")[-1]: job["state"] for job in jobs}

    def arrived(self, *names):
        wait_until_sync(
            lambda: all(self.states().get(name) == "done" for name in names), lambda: f"{names}: {self.states()}", 60
        )
        kept = [path.read_bytes() for path in self.received.rglob("data")]
        return all(Path(join_path(str(self.inbox), name)).read_bytes() in kept for name in names)

    def put(self, name, data):
        """Write a file with any name and path length into the folder."""
        path = Path(join_path(str(self.inbox), name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def ctl(self, *words):
        return self.command("ctl", *words)

    def command(self, *words):
        """Run a command with the configuration."""
        self.write()
        return self.run(words[0], "-c", self.config, *words[1:])

    def run(self, *words):
        """Run a command to its end."""
        ended = subprocess.run(
            [sys.executable, "-m", "syncd", *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended


@contextmanager
def running(base):
    """Provide a harness with a running receiver."""
    receiver = syncd(base / "receiver", "serve", "--dir", base / "received", "--port", "0")
    url = receiver.stdout.readline().split()
    assert url, (base / "receiver").read_text()
    made = Harness(base, url[0])
    try:
        yield made
    finally:
        made.stop()
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()
