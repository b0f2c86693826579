"""The live view and the log: in a pipe, on a small terminal, over a restart of the daemon."""

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import ExitStack, contextmanager

import pytest
from rich.cells import cell_len
from rich.console import Console

from syncd.cli.ctl.watch_model import WatchModel
from syncd.cli.ctl.watch_view import view
from syncd.control.client import ControlClient
from syncd.control.events import Hub
from syncd.control.service import LogQuery
from tests.cli.conftest import listening
from tests.control.fake import STATUS

PATIENCE = 20.0
FOLDER, REMOTE = STATUS["folders"][0], STATUS["remotes"][0]


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)
    return value


def flight(number, sent=0, **other):
    path = f"/srv/inbox/photo {number} with a rather long name of its own.jpg"
    return {"id": number, "path": path, "remote": "drive", "size": 4 * 2**20, "sent": sent, "stage": "sending", **other}


def progress(*flights, pending=0, sent=0):
    return {
        "flights": list(flights),
        "jobs": {**STATUS["jobs"], "failed": 1},
        "bytes": {"pending": pending, "sent": sent, "per_second": 2.0**20},
        "eta_seconds": 8.0,
    }


def event(state, **other):
    return {
        "id": 17,
        "path": "/srv/inbox/a.jpg",
        "folder": "/srv/inbox",
        "remote": "drive",
        "state": state,
        "cause": "refused",
        "outcome": None,
        "detail": None,
        "size": 1,
        "updated_at": "2026-01-02T03:04:05.000+00:00",
        **other,
    }


BEGIN = [
    ("daemon", {"state": "running", "folders": ["/srv/inbox"], "remotes": ["drive"]}),
    ("folder", FOLDER),
    ("remote", REMOTE),
]


def tell(daemon, *events):
    """Publish from the loop of whoever listens."""
    for kind, document in events:
        daemon.loop.call_soon_threadsafe(daemon.hub.publish, kind, document)


@pytest.fixture
def daemon(daemon, monkeypatch):
    """The fake daemon, with the loop that it runs in."""
    client_status = daemon.status

    async def status():
        daemon.loop = asyncio.get_running_loop()
        return await client_status()

    monkeypatch.setattr(daemon, "status", status)
    ControlClient(daemon.socket).status()
    daemon.asked.clear()
    return daemon


@contextmanager
def command(*arguments, socket, **streams):
    started = subprocess.Popen([sys.executable, "-m", "syncd", "ctl", "--socket", socket, *arguments], **streams)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


# The scene.


def drawn(model, width, height, **other):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    console.print(view(model, width=width, height=height, **other), end="")
    return console.file.getvalue().rstrip("\n").split("\n")


def busy(count):
    model = WatchModel()
    for kind, document in [
        *BEGIN,
        ("remote", {**REMOTE, "name": "far", "state": "offline", "detail": "refused " * 20, "retry_in_seconds": 7.6}),
        ("job", event("failed", detail="too large for the server")),
        ("progress", progress(pending=16 * 2**20)),
        ("progress", progress(*(flight(number, number * 2**18) for number in range(count)), pending=12 * 2**20)),
    ]:
        list(model.apply(kind, document))
    return model


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (40, 12), (200, 60)])
@pytest.mark.parametrize("count", [0, 1, 5, 70])
def test_it_fits(width, height, count):
    lines = drawn(busy(count), width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    assert "syncd running" in text
    assert "25%" in text
    assert "12 MiB to send" in text
    assert "8 s left" in text
    assert "far offline, next try in 8 s" in text
    assert "failed: a.jpg to drive" in text
    assert ("photo 0" in text) is (count > 0)
    assert ("more" in text) is (count > (24 if height == 60 else 2 if height == 12 else 14))


def test_a_wide_one_has_a_bar_for_each_file_and_a_narrow_one_its_share():
    wide, narrow = ("\n".join(drawn(busy(5), width, 24)) for width in (80, 40))
    assert re.search(r"photo 4 .*… +drive +4\.0 MiB ━+╸?╺?━* +25%", wide)
    assert re.search(r"photo 4 .*… +25%", narrow)


def test_what_is_amiss_stands_on_top():
    assert "the daemon is gone" in drawn(WatchModel(), 80, 24, note="the daemon is gone")[0]


def test_a_remote_that_went_is_forgotten():
    model = busy(0)
    list(model.apply("daemon", {"state": "running", "folders": [], "remotes": ["drive"]}))
    assert (set(model.remotes), set(model.folders)) == ({"drive"}, set())


def test_a_name_can_not_steer_the_terminal():
    model = busy(0)
    list(model.apply("progress", progress(flight(1, path="/srv/\x1b[2J\u202egnp"))))
    text = "\n".join(drawn(model, 80, 24))
    assert "\x1b" not in text
    assert "\u202e" not in text


# In a pipe.


@pytest.mark.e2e
def test_in_a_pipe_it_is_a_line_for_each_change(daemon, tmp_path):
    out = tmp_path / "out"
    with out.open("w") as stdout, command("watch", socket=daemon.socket, stdout=stdout, stdin=subprocess.DEVNULL):
        until(lambda: daemon.hub.wanted("job"), "nobody listens")
        again = {**FOLDER, "files": 121}
        tell(daemon, *BEGIN, ("folder", again), ("progress", progress(flight(1))), ("job", event("done")))
        tell(daemon, ("job", event("failed", detail="too\nlarge")), ("lost", {"count": 3}))
        until(lambda: "too" in out.read_text(), out.read_text)
    lines = [line[9:] for line in out.read_text().splitlines()]
    assert lines[:5] == [
        "syncd is running",
        "/srv/inbox watching",
        "drive online",
        "done      drive /srv/inbox/a.jpg",
        "failed    drive /srv/inbox/a.jpg: too\\nlarge",
    ]
    assert "\x1b" not in out.read_text()


@pytest.mark.e2e
def test_it_outlives_the_daemon(daemon, tmp_path):
    out, path = tmp_path / "out", str(tmp_path / "other.sock")
    with ExitStack() as stack:
        stdout = stack.enter_context(out.open("w"))
        with listening(daemon, path):
            stack.enter_context(command("watch", socket=path, stdout=stdout, stdin=subprocess.DEVNULL))
            until(lambda: daemon.hub.wanted("job"), "nobody listens")
        until(lambda: "the daemon is not reachable; waiting for it" in out.read_text(), out.read_text)
        daemon.hub = Hub()
        with listening(daemon, path):
            ControlClient(path).status()  # so that the loop is known
            until(lambda: daemon.hub.wanted("job"), "it did not come back")
            tell(daemon, *BEGIN)
            until(lambda: "syncd is running" in out.read_text(), out.read_text)


def test_nobody_there(syncd, tmp_path):
    for arguments in (["watch"], ["logs"], ["logs", "-f"]):
        assert syncd("ctl", "--socket", tmp_path / "none.sock", *arguments).code == 3


# On a terminal.


class Terminal:
    """A terminal of some size, and what was written on it."""

    def __init__(self, width, height):
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.raw = b""

    def shows(self, text):
        while select.select([self._ours], [], [], 0)[0]:
            self.raw += os.read(self._ours, 65_536)
        plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.raw)
        return text.encode() in plain

    def press(self, key):
        os.write(self._ours, key)

    def close(self):
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def terminal(request):
    made = Terminal(*getattr(request, "param", (80, 24)))
    yield made
    made.close()


@contextmanager
def watching(daemon, terminal):
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": subprocess.PIPE}
    with command("watch", socket=daemon.socket, env={**environment, "TERM": "xterm"}, **streams) as started:
        until(lambda: daemon.hub.wanted("job"), "nobody listens")
        yield started
        started.stderr.close()


@pytest.mark.e2e
@pytest.mark.parametrize("terminal", [(80, 24), (40, 24)], indirect=True)
def test_on_a_terminal_it_is_a_live_view_until_q(daemon, terminal):
    before = termios.tcgetattr(terminal.theirs)
    with watching(daemon, terminal) as started:
        tell(daemon, *BEGIN, ("progress", progress(flight(1, 2**20), pending=2**20)))
        until(lambda: terminal.shows("photo 1") and terminal.shows(" 25%"), lambda: terminal.raw)
        tell(daemon, ("progress", progress(flight(1, 3 * 2**20), pending=2**20)))
        until(lambda: terminal.shows(" 75%"), lambda: terminal.raw)
        terminal.press(b"q")
        assert started.wait(PATIENCE) == 0
        assert started.stderr.read() == b""
    terminal.shows("")
    assert terminal.raw.endswith(b"\x1b[?25h\x1b[?1049l")  # the cursor is back, and what was there before
    assert termios.tcgetattr(terminal.theirs) == before


@pytest.mark.e2e
def test_ctrl_c_ends_it_too(daemon, terminal):
    with watching(daemon, terminal) as started:
        started.send_signal(2)
        assert started.wait(PATIENCE) == 0


# The log.


def line(number, level="info", **other):
    fingerprint = f"2026-01-02T03:04:05.{number:03}Z"
    return {"timestamp": fingerprint, "level": level, "event": "job.done", "job": number, **other}


def test_logs_are_as_the_daemon_writes_them(ctl, daemon):
    daemon.logged = [line(1, path="a b.jpg\x1b[2J"), line(2, "warning", detail="no")]
    out = ctl("logs", "--level", "info", "--limit", "7", "--event", "job.").out
    assert daemon.asked == [("log", LogQuery(level="info", limit=7, event="job."))]
    first, second = out.splitlines()
    assert first.endswith('05.001 info    job.done job=1 path="a b.jpg\\u001b[2J"')
    assert second.endswith("05.002 warning job.done job=2 detail=no")
    assert "\x1b" not in out


def test_logs_for_a_script(ctl, daemon):
    daemon.logged = [line(1, path="سلام"), line(2)]
    assert [json.loads(text) for text in ctl("logs", "--json").out.splitlines()] == daemon.logged


@pytest.mark.e2e
def test_logs_are_followed_each_once_until_the_daemon_ends(daemon, tmp_path):
    daemon.logged = [line(1), line(2, "warning")]
    out = tmp_path / "out"
    with (
        out.open("w") as stdout,
        command("logs", "-f", "--level", "info", "--json", socket=daemon.socket, stdout=stdout, stderr=-1) as following,
    ):
        until(lambda: "job" in out.read_text(), "the past")
        tell(daemon, ("log", line(2, "warning")), ("log", line(3, "debug")), ("log", line(4)))
        until(lambda: len(out.read_text().splitlines()) == 3, out.read_text)
        daemon.loop.call_soon_threadsafe(daemon.hub.close)
        assert following.wait(PATIENCE) == 3
        assert following.stderr.read() == b"syncd: the daemon has ended or closed the connection\n"
        following.stderr.close()
    assert [json.loads(text)["job"] for text in out.read_text().splitlines()] == [1, 2, 4]


@pytest.mark.e2e
def test_logs_say_what_was_lost(daemon, tmp_path):
    daemon.logged = []
    with command("logs", "-f", socket=daemon.socket, stdout=subprocess.DEVNULL, stderr=-1) as following:
        until(lambda: daemon.hub.wanted("log"), "nobody listens")
        daemon.loop.call_soon_threadsafe(daemon.hub.publish, "log", {"event": "x" * 300_000})
        said = following.stderr.readline()
        following.stderr.close()
    assert said == b"syncd: 1 lines are missing here: there were too many to send\n"
