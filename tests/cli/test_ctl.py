import json
import os
import pty
import re
import subprocess
import sys

import pytest

from syncd import __version__
from syncd.cli.ctl import command as ctl_module
from syncd.control.service import JobQuery
from syncd.core.states import State
from tests.control.fake import STATUS, job

ODD = os.fsdecode(b"\xff new\nline.jpg")


@pytest.mark.parametrize(
    ("arguments", "asked", "said"),
    [
        (["start"], "start", "uploading"),
        (["stop"], ("stop", False), "stopped; new files are queued; resume with: syncd ctl start"),
        (["stop", "--now"], ("stop", True), "stopped; new files are queued; resume with: syncd ctl start"),
        (["rescan"], ("rescan", None), "scanning"),
        (["retry", "--all"], ("retry", None), "2 jobs queued again"),
        (["retry"], ("retry", None), "2 jobs queued again"),
        (["retry", "17"], ("retry", [17]), "1 job queued again"),
        (["cancel", "17", "18"], ("cancel", [17, 18]), "2 jobs cancelled"),
        (["reload"], "reload", "remotes.drive.url changed"),
    ],
)
def test_each_command_asks_and_says(ctl, daemon, arguments, asked, said):
    ended = ctl(*arguments)
    assert (ended.code, ended.out, ended.err) == (0, said + "\n", "")
    assert daemon.asked == [asked]


def test_paths_go_exactly_and_absolute(ctl, daemon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    full = os.path.join(tmp_path, ODD)
    ctl("show", ODD)
    ctl("rescan", f"./{ODD}")
    ctl("retry", ODD, "17")
    ctl("cancel", "./17")
    assert daemon.asked == [("show", full), ("rescan", full), ("retry", [full, 17]), ("cancel", [f"{tmp_path}/17"])]


@pytest.mark.parametrize("arguments", [["retry", "--all", "17"], ["cancel"], ["jobs", "--limit", "0"]])
def test_nothing_is_done_on_a_guess(ctl, daemon, arguments):
    assert ctl(*arguments).code == 2
    assert daemon.asked == []


def test_status_as_json_is_the_document(ctl):
    assert json.loads(ctl("status", "--json").out) == STATUS


def test_status_in_words(ctl):
    out = ctl("status").out
    assert "syncd 1.0.0, running, pid 4711, up 12 s" in out
    assert "/srv/inbox → drive\n    watching by events, 120 files" in out
    assert "drive  online  http://127.0.0.1:4444" in out
    assert "3 queued, 2 uploading, 115 done\n  1.0 MiB to send, 512 KiB/s, 2 s left" in out
    assert "failed" not in out
    assert "stored" not in out


def test_a_daemon_of_another_version_is_told_apart(ctl, daemon):
    other = "this command is syncd " + __version__ + "; restart the daemon to run the same version"
    assert f"\n  {other}\n" in ctl("status").out
    daemon.status_document = {key: value for key, value in STATUS.items() if key != "bytes"}
    ended = ctl("status")
    assert (ended.code, ended.err) == (
        69,
        f"syncd: the daemon's answer lacks 'bytes', because the daemon is syncd 1.0.0: {other}\n",
    )
    daemon.status_document = {**STATUS, "version": __version__}
    assert "restart" not in ctl("status").out
    daemon.status_document = {"version": __version__}
    assert ctl("status").code == 70  # a bug of ours, then


def test_status_says_advice(ctl, daemon):
    folder, remote = STATUS["folders"][0], STATUS["remotes"][0]
    daemon.status_document = {
        **STATUS,
        "state": "stopped",
        "folders": [{**folder, "state": "offline"}],
        "remotes": [
            {**remote, "state": "offline", "detail": "connection refused", "retry_in_seconds": 7.6},
            {**remote, "name": "far", "state": "unauthorized"},
        ],
        "jobs": {**STATUS["jobs"], "failed": 2},
        "eta_seconds": None,
        "store_blocked": "/srv/syncd.db: the job store was deleted: put it back",
    }
    out = ctl("status").out
    reason = "/srv/syncd.db: the job store was deleted: put it back"
    assert f"all jobs wait, because the job store cannot be written: {reason}\n" in out
    assert "uploading is stopped; resume with: syncd ctl start" in out
    assert "the folder does not exist; mount it" in out
    assert "drive  offline, next try in 8 s" in out
    assert "connection refused" in out
    assert "the server rejected the token" in out
    assert "syncd ctl retry --all" in out
    assert "left\n" not in out


def test_jobs_are_listed_with_their_reasons(ctl, daemon):
    daemon.listed = [
        job(),
        job(5, "/srv/inbox/b.jpg", state="done", outcome="duplicate", detail=None, size=None, remote="d"),
        job(6, "/srv/inbox/c.jpg", state="waiting", detail="reset", due_in_seconds=61.0),
    ]
    assert ctl("jobs", "--limit", "3").out.splitlines() == [
        "17  failed   drive  1.2 MiB  /srv/inbox/a b.jpg",
        "    too large for the server (413)",
        " 5  done     d            -  /srv/inbox/b.jpg",
        "    the server already had this content",
        " 6  waiting  drive  1.2 MiB  /srv/inbox/c.jpg",
        "    reset, next try in 1 min 1 s",
        "only the latest 3 are shown; see more with --limit, --state or --search",
    ]


def test_jobs_are_asked_for_page_by_page(ctl, daemon):
    daemon.listed = [job(number) for number in range(700)]
    ended = ctl("jobs", "--state", "failed", "--search", "a b", "--limit", "1500", "--json")
    found = json.loads(ended.out)
    common = {"state": State.FAILED, "search": "a b"}
    assert daemon.asked == [
        ("jobs", JobQuery(limit=1000, **common)),
        ("jobs", JobQuery(limit=800, before="c2", **common)),
        ("jobs", JobQuery(limit=100, before="c2", **common)),
    ]
    assert (len(found["jobs"]), found["next"]) == (2100, "c2")


def test_no_jobs(ctl, daemon):
    daemon.listed = []
    assert ctl("jobs").out == "no jobs\n"


def test_show_tells_all(ctl, daemon):
    daemon.listed = [job(state="done", detail=None, ref="f-1"), job(18, remote="ascii")]
    out = ctl("show", "/srv/inbox/a b.jpg").out
    assert "/srv/inbox/a b.jpg\n  job 17 to drive: done\n  1.2 MiB, 3 failed attempts, on the server f-1\n" in out
    assert "job 18 to ascii: failed\n  too large for the server (413)\n" in out
    assert re.search(r"  2026-01-0\d\n    \d\d:0\d:05\.0  found → queued\n", out)


def test_show_as_json_has_the_history(ctl):
    (shown,) = json.loads(ctl("show", "17", "--json").out)["jobs"]
    assert [step["state"] for step in shown["history"]] == ["queued"]


def test_words_from_a_server_can_not_steer_the_terminal(ctl, daemon):
    daemon.listed = [job(detail="\x1b[2J\x9b31m\u202egnp\n* done")]
    assert "    \\x1b[2J\\x9b31m\\u202egnp\\n* done\n" in ctl("jobs").out


def test_a_refusal(ctl):
    ended = ctl("show", "404")
    assert (ended.code, ended.out, ended.err) == (1, "", "syncd: there is no job 404\n")


def test_a_configuration_that_was_refused(ctl, daemon):
    daemon.problems = ["config.yaml:3: one", "config.yaml:9: two"]
    ended = ctl("reload")
    assert ended.code == 78
    assert ended.err.splitlines()[1:] == ["syncd: config.yaml:3: one", "syncd: config.yaml:9: two"]


def test_nobody_there(syncd, tmp_path):
    ended = syncd("ctl", "--socket", tmp_path / "none.sock", "status")
    assert ended.code == 3
    assert ended.err == f"syncd: the daemon is not running (nobody listens at {tmp_path}/none.sock): syncd run\n"


@pytest.fixture
def configured(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("state_dir: state\ncontrol: {socket: control.sock}\n")
    return path


@pytest.mark.e2e
@pytest.mark.parametrize("arguments", [["status"], ["logs", "-f"], ["watch"], ["shutdown"]])
def test_a_daemon_whose_socket_is_missing_is_not_told_to_be_started(syncd, configured, holder, tmp_path, arguments):
    ended = syncd("ctl", "-c", configured, *arguments)
    assert ended.code == 69
    assert ended.err.startswith(
        f"syncd: syncd runs (pid {holder.pid}), but nothing listens at {tmp_path}/control.sock: "
    )
    assert f"end process {holder.pid}" in ended.err
    assert "syncd run\n" not in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.e2e
def test_logs_that_end_with_the_daemon_are_told_so_while_it_holds_the_lock(
    syncd, configured, holder, daemon, monkeypatch
):
    async def log(_query):
        daemon.hub.close()
        return []

    monkeypatch.setattr(daemon, "log", log)
    ended = syncd("ctl", "-c", configured, "logs", "-f")
    assert (ended.code, ended.err) == (3, "syncd: the daemon has ended or closed the connection\n")


@pytest.mark.e2e
def test_a_lock_that_is_left_behind_is_no_daemon(syncd, configured, holder):
    holder.kill()
    holder.wait()
    ended = syncd("ctl", "-c", configured, "status")
    assert ended.code == 3
    assert ended.err.endswith("control.sock): syncd run\n")


@pytest.mark.e2e
def test_a_lock_that_this_user_may_not_look_at(syncd, configured, holder, tmp_path, monkeypatch):
    def denied(_state_dir):
        raise PermissionError

    monkeypatch.setattr("syncd.cli.unreachable.holder", denied)
    ended = syncd("ctl", "-c", configured, "status")
    assert ended.code == 3
    assert ended.err == (
        "syncd: the daemon seems not to be running, but this user cannot read its lock "
        f"(nothing listens at {tmp_path}/control.sock): "
        "run the command as root or as the daemon's user\n"
    )


@pytest.mark.e2e
def test_shutdown_waits_for_the_process_too(syncd, configured, holder, daemon, monkeypatch):
    """Its socket goes some time before it lets go of the state folder."""
    looks = []

    async def shutdown():
        os.unlink(daemon.socket)

    def look(self):
        looks.append(1)
        if len(looks) == 5:
            holder.stdin.close()
            holder.wait()
        return before(self)

    before = ctl_module._Daemon.holder
    monkeypatch.setattr(daemon, "shutdown", shutdown)
    monkeypatch.setattr(ctl_module._Daemon, "holder", look)
    ended = syncd("ctl", "-c", configured, "shutdown")
    assert (ended.code, ended.out, len(looks)) == (0, "ended\n", 5)


def test_the_socket_comes_from_the_configuration(syncd, daemon, tmp_path):
    (tmp_path / "c.yaml").write_text("control: {socket: control.sock}\n")
    assert syncd("ctl", "-c", tmp_path / "c.yaml", "start").code == 0
    assert daemon.asked == ["start"]


def test_no_configuration(syncd, tmp_path):
    ended = syncd("ctl", "-c", tmp_path / "none.yaml", "start")
    assert (ended.code, ended.err) == (
        78,
        f"syncd: {tmp_path}/none.yaml: there is no such file — write one with syncd init\n",
    )


def test_shutdown_waits_for_the_end(ctl, daemon, monkeypatch):
    looks = []

    async def status():
        looks.append(1)
        if len(looks) == 3:
            os.unlink(daemon.socket)
        return STATUS

    monkeypatch.setattr(daemon, "status", status)
    ended = ctl("shutdown")
    assert (ended.code, ended.out, len(looks)) == (0, "ended\n", 3)
    assert daemon.asked == ["shutdown"]


def test_shutdown_says_when_it_takes_too_long(ctl, monkeypatch):
    monkeypatch.setattr("syncd.cli.ctl.command.SHUTDOWN_TIMEOUT_SECONDS", 0.2)
    ended = ctl("shutdown")
    assert (ended.code, ended.err) == (1, "syncd: the daemon is still running 0.2 s after the request; see its log\n")


@pytest.mark.e2e
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_only_on_a_terminal_that_wants_them(daemon, no_color, coloured):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color}
    command = [sys.executable, "-m", "syncd", "ctl", "--socket", daemon.socket, "status"]
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    out = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"running" in out
    assert (b"\x1b[" in out) is coloured


def test_no_colours_in_a_pipe(ctl):
    assert "\x1b" not in ctl("status").out


@pytest.mark.e2e
@pytest.mark.parametrize("by", ["--socket", "-c"])
def test_it_loads_nothing_heavy(daemon, tmp_path, by):
    config = tmp_path / "config.yaml"
    config.write_text(f"control: {{socket: {daemon.socket}}}")
    where = {"--socket": str(daemon.socket), "-c": str(config)}[by]
    script = (
        "import sys; from syncd.cli import main\n"
        f"sys.argv = ['syncd', 'ctl', {by!r}, {where!r}, 'status']\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "running" in ended.stdout
    heavy = {"aiohttp", "asyncio", "pydantic", "rich", "sqlalchemy", "structlog", "watchdog", "PIL", "platformdirs"}
    assert heavy.isdisjoint(ended.stderr.split())
