"""``syncd ctl watch`` and ``syncd ctl logs``, in a pipe and on a terminal."""

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
import termios
from contextlib import ExitStack, contextmanager

import pytest
from rich.cells import cell_len
from rich.console import Console

from syncd.cli.ctl.watch_model import WatchModel
from syncd.cli.ctl.watch_view import view
from syncd.control.client import ControlClient
from syncd.control.events import Hub
from syncd.control.service import LogQuery
from tests.cli.conftest import control_server
from tests.control.fake import STATUS
from tests.support.processes import command_line
from tests.support.wait import wait_until_sync

TIMEOUT_SECONDS = 20.0
FOLDER, REMOTE = STATUS["folders"][0], STATUS["remotes"][0]


def upload_event(number, sent=0, **other):
    path = f"/srv/inbox/photo {number} with a rather long name of its own.jpg"
    return {"id": number, "path": path, "remote": "drive", "size": 4 * 2**20, "sent": sent, "stage": "sending", **other}


def progress_event(*flights, pending=0, sent=0):
    return {
        "flights": list(flights),
        "jobs": {**STATUS["jobs"], "failed": 1},
        "bytes": {"pending": pending, "sent": sent, "per_second": 2.0**20},
        "eta_seconds": 8.0,
    }


def job_event(state, **other):
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


INITIAL_EVENTS = [
    ("daemon", {"state": "running", "folders": ["/srv/inbox"], "remotes": ["drive"]}),
    ("folder", FOLDER),
    ("remote", REMOTE),
]


def publish(daemon, *events):
    """Publish events in the event loop of the fake daemon."""
    for kind, document in events:
        daemon.loop.call_soon_threadsafe(daemon.hub.publish, kind, document)


@pytest.fixture
def daemon(daemon, monkeypatch):
    """The fake daemon, with its event loop as ``loop``."""
    client_status = daemon.status

    async def status():
        daemon.loop = asyncio.get_running_loop()
        return await client_status()

    monkeypatch.setattr(daemon, "status", status)
    ControlClient(daemon.socket).status()
    daemon.asked.clear()
    return daemon


@contextmanager
def start_ctl(*arguments, socket, **streams):
    started = subprocess.Popen(command_line("ctl", "--socket", socket, *arguments), **streams)
    with started:
        try:
            yield started
        finally:
            started.kill()


# The model and its view.


def render(model, width, height, **other):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    console.print(view(model, width=width, height=height, **other), end="")
    return console.file.getvalue().rstrip("\n").split("\n")


def busy_model(count):
    model = WatchModel()
    for kind, document in [
        *INITIAL_EVENTS,
        ("remote", {**REMOTE, "name": "far", "state": "offline", "detail": "refused " * 20, "retry_in_seconds": 7.6}),
        ("job", job_event("failed", detail="too large for the server")),
        ("progress", progress_event(pending=16 * 2**20)),
        (
            "progress",
            progress_event(*(upload_event(number, number * 2**18) for number in range(count)), pending=12 * 2**20),
        ),
    ]:
        list(model.apply(kind, document))
    return model


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (40, 12), (200, 60)])
@pytest.mark.parametrize("count", [0, 1, 5, 70])
def test_view_fits_terminal(width, height, count):
    lines = render(busy_model(count), width, height)
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


def test_view_shows_bars_only_on_wide_terminal():
    wide, narrow = ("\n".join(render(busy_model(5), width, 24)) for width in (80, 40))
    assert re.search(r"photo 4 .*… +drive +4\.0 MiB ━+╸?╺?━* +25%", wide)
    assert re.search(r"photo 4 .*… +25%", narrow)


def test_view_shows_problem_in_first_line():
    assert "the daemon is gone" in render(WatchModel(), 80, 24, problem="the daemon is gone")[0]


def test_model_forgets_removed_remotes_and_folders():
    model = busy_model(0)
    list(model.apply("daemon", {"state": "running", "folders": [], "remotes": ["drive"]}))
    assert (set(model.remotes), set(model.folders)) == ({"drive"}, set())


def test_view_escapes_control_characters():
    model = busy_model(0)
    list(model.apply("progress", progress_event(upload_event(1, path="/srv/\x1b[2J\u202egnp"))))
    text = "\n".join(render(model, 80, 24))
    assert "\x1b" not in text
    assert "\u202e" not in text


# In a pipe.


@pytest.mark.e2e
def test_watch_in_pipe_prints_line_per_change(daemon, tmp_path):
    out = tmp_path / "out"
    with out.open("w") as stdout, start_ctl("watch", socket=daemon.socket, stdout=stdout, stdin=subprocess.DEVNULL):
        wait_until_sync(lambda: daemon.hub.wanted("job"), "a client listens")
        again = {**FOLDER, "files": 121}
        publish(
            daemon,
            *INITIAL_EVENTS,
            ("folder", again),
            ("progress", progress_event(upload_event(1))),
            ("job", job_event("done")),
        )
        publish(daemon, ("job", job_event("failed", detail="too\nlarge")), ("lost", {"count": 3}))
        wait_until_sync(lambda: "too" in out.read_text(), out.read_text)
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
def test_watch_reconnects_after_daemon_restart(daemon, tmp_path):
    out, path = tmp_path / "out", str(tmp_path / "other.sock")
    with ExitStack() as stack:
        stdout = stack.enter_context(out.open("w"))
        with control_server(daemon, path):
            stack.enter_context(start_ctl("watch", socket=path, stdout=stdout, stdin=subprocess.DEVNULL))
            wait_until_sync(lambda: daemon.hub.wanted("job"), "a client listens")
        wait_until_sync(lambda: "the daemon is not reachable; waiting for it" in out.read_text(), out.read_text)
        daemon.hub = Hub()
        with control_server(daemon, path):
            ControlClient(path).status()  # sets daemon.loop
            wait_until_sync(lambda: daemon.hub.wanted("job"), "a client reconnects")
            publish(daemon, *INITIAL_EVENTS)
            wait_until_sync(lambda: "syncd is running" in out.read_text(), out.read_text)


def test_watch_and_logs_without_daemon_exit_three(syncd, tmp_path):
    for arguments in (["watch"], ["logs"], ["logs", "-f"]):
        assert syncd("ctl", "--socket", tmp_path / "none.sock", *arguments).code == 3


# On a terminal.


class Terminal:
    """A pseudo terminal with a size; ``raw`` has all output."""

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
def start_watch(daemon, terminal):
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": subprocess.PIPE}
    with start_ctl("watch", socket=daemon.socket, env={**environment, "TERM": "xterm"}, **streams) as started:
        wait_until_sync(lambda: daemon.hub.wanted("job"), "a client listens")
        yield started


@pytest.mark.e2e
@pytest.mark.parametrize("terminal", [(80, 24), (40, 24)], indirect=True)
def test_watch_on_terminal_draws_live_view_until_q(daemon, terminal):
    before = termios.tcgetattr(terminal.theirs)
    with start_watch(daemon, terminal) as started:
        publish(daemon, *INITIAL_EVENTS, ("progress", progress_event(upload_event(1, 2**20), pending=2**20)))
        wait_until_sync(lambda: terminal.shows("photo 1") and terminal.shows(" 25%"), lambda: terminal.raw)
        publish(daemon, ("progress", progress_event(upload_event(1, 3 * 2**20), pending=2**20)))
        wait_until_sync(lambda: terminal.shows(" 75%"), lambda: terminal.raw)
        terminal.press(b"q")
        assert started.wait(TIMEOUT_SECONDS) == 0
        assert started.stderr.read() == b""
    terminal.shows("")
    assert terminal.raw.endswith(b"\x1b[?25h\x1b[?1049l")  # shows the cursor and the earlier screen again
    assert termios.tcgetattr(terminal.theirs) == before


def test_watch_ctrl_c_during_start_exits_zero(ctl, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("syncd.cli.terminal.console", interrupted)
    assert ctl("watch").code == 0


@pytest.mark.e2e
def test_watch_ctrl_c_exits_zero(daemon, terminal):
    with start_watch(daemon, terminal) as started:
        started.send_signal(2)
        assert started.wait(TIMEOUT_SECONDS) == 0


# The log.


def log_line(number, level="info", **other):
    fingerprint = f"2026-01-02T03:04:05.{number:03}Z"
    return {"timestamp": fingerprint, "level": level, "event": "job.done", "job": number, **other}


def test_logs_prints_daemon_log_format(ctl, daemon):
    daemon.logged = [log_line(1, path="a b.jpg\x1b[2J"), log_line(2, "warning", detail="no")]
    out = ctl("logs", "--level", "info", "--limit", "7", "--event", "job.").out
    assert daemon.asked == [("log", LogQuery(level="info", limit=7, event="job."))]
    first, second = out.splitlines()
    assert first.endswith('05.001 info    job.done job=1 path="a b.jpg\\u001b[2J"')
    assert second.endswith("05.002 warning job.done job=2 detail=no")
    assert "\x1b" not in out


def test_logs_json_prints_object_per_line(ctl, daemon):
    daemon.logged = [log_line(1, path="سلام"), log_line(2)]
    assert [json.loads(text) for text in ctl("logs", "--json").out.splitlines()] == daemon.logged


@pytest.mark.e2e
def test_logs_follow_prints_each_event_once(daemon, tmp_path):
    daemon.logged = [log_line(1), log_line(2, "warning")]
    out = tmp_path / "out"
    with (
        out.open("w") as stdout,
        start_ctl(
            "logs", "-f", "--level", "info", "--json", socket=daemon.socket, stdout=stdout, stderr=-1
        ) as following,
    ):
        wait_until_sync(lambda: "job" in out.read_text(), "past events are printed")
        publish(daemon, ("log", log_line(2, "warning")), ("log", log_line(3, "debug")), ("log", log_line(4)))
        wait_until_sync(lambda: len(out.read_text().splitlines()) == 3, out.read_text)
        daemon.loop.call_soon_threadsafe(daemon.hub.close)
        assert following.wait(TIMEOUT_SECONDS) == 3
        assert following.stderr.read() == b"syncd: the daemon has ended or closed the connection\n"
    assert [json.loads(text)["job"] for text in out.read_text().splitlines()] == [1, 2, 4]


@pytest.mark.e2e
def test_logs_follow_reports_lost_lines(daemon, tmp_path):
    daemon.logged = []
    with start_ctl("logs", "-f", socket=daemon.socket, stdout=subprocess.DEVNULL, stderr=-1) as following:
        wait_until_sync(lambda: daemon.hub.wanted("log"), "a client listens")
        daemon.loop.call_soon_threadsafe(daemon.hub.publish, "log", {"event": "x" * 300_000})
        message = following.stderr.readline()
    assert message == b"syncd: 1 line lost here, because this client read too slowly\n"
