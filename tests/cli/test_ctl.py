import json
import os
import pty
import re
import subprocess
import sys

import pytest

from syncd import __version__
from syncd.cli.daemon_client import DaemonClient
from syncd.control.service import JobQuery
from syncd.core.model import Sort
from syncd.core.states import State
from tests.control.fake import STATUS, job
from tests.support.processes import command_line
from tests.support.terminal import TerminalCommand

ODD = os.fsdecode(b"\xff new\nline.jpg")


@pytest.mark.parametrize(
    ("arguments", "call", "expected"),
    [
        (["start"], "start", "uploading"),
        (["stop"], ("stop", False), "stopped; new files are queued; resume with: syncd ctl start"),
        (["stop", "--now"], ("stop", True), "stopped; new files are queued; resume with: syncd ctl start"),
        (["pause"], ("stop", False), "stopped; new files are queued; resume with: syncd ctl start"),
        (["rescan"], ("rescan", None), "scanning"),
        (["retry", "--all"], ("retry", None), "2 jobs queued again"),
        (["retry"], ("retry", None), "2 jobs queued again"),
        (["retry", "17"], ("retry", [17]), "1 job queued again"),
        (["retry", "--state", "skipped"], ("retry", None, State.SKIPPED), "2 jobs queued again"),
        (["retry", "17", "--state", "waiting"], ("retry", [17], State.WAITING), "1 job queued again"),
        (["cancel", "--all", "--yes"], ("cancel", None), "5 jobs cancelled"),
        (["cancel", "17", "18"], ("cancel", [17, 18]), "2 jobs cancelled"),
        (["reload"], "reload", "remotes.drive.url changed"),
    ],
)
def test_ctl_command_calls_daemon_and_prints_result(ctl, daemon, arguments, call, expected):
    result = ctl(*arguments)
    assert (result.code, result.out, result.err) == (0, expected + "\n", "")
    assert daemon.asked == [call]


def test_ctl_sends_absolute_paths_unchanged(ctl, daemon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    full = os.path.join(tmp_path, ODD)
    ctl("show", ODD)
    ctl("rescan", f"./{ODD}")
    ctl("retry", ODD, "17")
    ctl("cancel", "./17")
    assert daemon.asked == [("show", full), ("rescan", full), ("retry", [full, 17]), ("cancel", [f"{tmp_path}/17"])]


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", "--all", "17"],
        ["retry", "--state", "done"],
        ["cancel"],
        ["cancel", "--all"],  # there is no terminal
        ["cancel", "--all", "--yes", "17"],
        ["jobs", "--limit", "0"],
        ["jobs", "--sort", "colour"],
    ],
)
def test_ctl_wrong_usage_does_not_call_daemon(ctl, daemon, arguments):
    assert ctl(*arguments).code == 2
    assert daemon.asked == []


def test_status_json_is_the_document(ctl):
    assert json.loads(ctl("status", "--json").out) == STATUS


def test_status_prints_folders_remotes_and_jobs(ctl):
    out = ctl("status").out
    assert "syncd 1.0.0, running, pid 4711, up 12 s" in out
    assert "/srv/inbox → drive\n    watching by events, 120 files" in out
    assert "drive  online  http://127.0.0.1:4444" in out
    assert "3 queued, 2 uploading, 115 done\n  1.0 MiB to send, 512 KiB/s, 2 s left" in out
    assert "failed" not in out
    assert "stored" not in out


BAD_FOLDER, BAD_REMOTE = {**STATUS["folders"][0]}, {**STATUS["remotes"][0]}


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({}, 0, "5 uploads to do"),
        ({"jobs": {"queued": 0, "done": 9}}, 0, "everything is uploaded"),
        ({"jobs": {"done": 9, "skipped": 2}}, 0, "everything is uploaded, except 2 skipped uploads"),
        (
            {
                "jobs": {"done": 9, "skipped": 1},
                "folders": [
                    {**STATUS["folders"][0], "left_out_files": 13, "left_out_videos": 2},
                    {**STATUS["folders"][0], "left_out_files": 1, "left_out_videos": 1},
                    {**STATUS["folders"][0], "left_out_files": None, "left_out_videos": None},
                ],
            },
            0,
            "everything is uploaded, except 1 skipped upload and 14 files left out by patterns (3 videos)",
        ),
        ({"jobs": {"done": 9, "failed": 1}}, 1, "1 failed upload"),
        ({"jobs": {"done": 9, "failed": 3}, "unreadable_files": 2}, 1, "3 failed uploads (2 files cannot be read)"),
        ({"state": "stopped"}, 1, "uploading is stopped"),
        ({"folders": [{**BAD_FOLDER, "detail": "1 not readable"}]}, 1, "folder /srv/inbox: 1 not readable"),
        ({"folders": [{**BAD_FOLDER, "state": "offline", "detail": "gone"}]}, 2, "folder /srv/inbox is missing"),
        ({"remotes": [{**BAD_REMOTE, "state": "unauthorized"}]}, 2, "remote drive rejects the token"),
        (
            {"remotes": [{**BAD_REMOTE, "state": "offline", "credentials_problem": "no | file"}], "state": "stopping"},
            2,
            "remote drive is offline; remote drive: no | file; uploading is stopping",
        ),
        ({"state": "blocked", "store_blocked": "full"}, 2, "the job store cannot be written: full"),
    ],
)
def test_status_first_line_and_check_name_problems(ctl, daemon, changes, code, text):
    daemon.status_document = {**STATUS, **changes}
    assert ctl("status").out.splitlines()[0] == (f"needs attention: {text}" if code else text)
    result = ctl("status", "--check")
    line, numbers = result.out.split(" | ")
    words = text.replace("|", "/")
    assert (result.code, line) == (code, f"SYNCD {('OK', 'WARNING', 'CRITICAL')[code]}: {words}")
    assert f"done={daemon.status_document['jobs']['done']}" in numbers.split()
    assert "pending=1048576B sent=73400320B\n" in numbers


def test_status_daemon_of_other_version_advises_restart(ctl, daemon):
    other = "this command is syncd " + __version__ + "; restart the daemon to run the same version"
    assert f"\n  {other}\n" in ctl("status").out
    daemon.status_document = {key: value for key, value in STATUS.items() if key != "bytes"}
    result = ctl("status")
    assert (result.code, result.err) == (
        69,
        f"syncd: the daemon's answer lacks 'bytes', because the daemon is syncd 1.0.0; {other}\n",
    )
    daemon.status_document = {**STATUS, "version": __version__}
    assert "restart" not in ctl("status").out
    daemon.status_document = {"version": __version__}
    assert ctl("status").code == 70  # a bug of this version


def test_status_prints_fix_for_each_problem(ctl, daemon):
    folder, remote = STATUS["folders"][0], STATUS["remotes"][0]
    daemon.status_document = {
        **STATUS,
        "state": "stopped",
        "folders": [{**folder, "state": "offline"}],
        "remotes": [
            {**remote, "state": "offline", "detail": "connection refused", "retry_in_seconds": 7.6},
            {**remote, "name": "far", "state": "unauthorized", "retry_in_seconds": 0.04},
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
    assert re.search(r"drive  offline since 2026-01-0\d \d\d:\d4, next try in 8 s", out)
    assert re.search(r"far    unauthorized since 2026-01-0\d \d\d:\d4, trying now", out)
    assert "connection refused" in out
    assert "the server rejected the token" in out
    assert "syncd ctl retry --all" in out
    assert "left\n" not in out


def test_jobs_prints_line_and_detail_per_job(ctl, daemon):
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
        "only the first 3 are shown; see more with --limit, --state, --folder, --remote or --search",
    ]


def test_jobs_requests_long_list_as_one_snapshot(ctl, daemon):
    daemon.listed = [job(number) for number in range(700)]
    for limit, expected in (("1000", ("jobs", 700)), ("1500", ("job_snapshot", 2100))):
        result = ctl("jobs", "--state", "failed", "--search", "a b", "--limit", limit, "--json")
        found = json.loads(result.out)
        query = JobQuery(limit=int(limit), state=State.FAILED, search="a b")
        assert daemon.asked.pop() == (expected[0], query)
        assert daemon.asked == []
        assert (len(found["jobs"]), found["next"]) == (expected[1], "c2")


def test_jobs_passes_folder_remote_and_order(ctl, daemon):
    ctl("jobs", "--folder", "inbox", "--remote", "drive", "--sort", "largest")
    query = JobQuery(folder="/srv/inbox", remote="drive", sort=Sort.LARGEST)
    assert daemon.asked == ["status", ("jobs", query)]


TWO_FOLDERS = [
    {**STATUS["folders"][0], "path": f"/srv/{name}/in\\nbox", "uri": f"file:///srv/{name}/in%0Abox"} for name in "ab"
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/srv/a/in\nbox", "/srv/a/in\nbox"),
        ("b/in\nbox/", "/srv/b/in\nbox"),
        ("in\nbox", r"in\nbox names several watched folders; write the path of one: /srv/a/in\nbox, /srv/b/in\nbox"),
        ("box", r"box is not a watched folder; the watched folders are: /srv/a/in\nbox, /srv/b/in\nbox"),
    ],
)
def test_jobs_finds_folder_by_end_of_its_path(ctl, daemon, name, found):
    daemon.status_document = {**STATUS, "folders": TWO_FOLDERS}
    result = ctl("jobs", "--folder", name)
    if found.startswith("/"):
        assert daemon.asked[1:] == [("jobs", JobQuery(folder=found))]
    else:
        assert (result.code, result.err, daemon.asked) == (1, f"syncd: {found}\n", ["status"])


def test_jobs_without_jobs_reports_none(ctl, daemon):
    daemon.listed = []
    assert ctl("jobs").out == "no jobs\n"


def test_show_prints_details_and_history(ctl, daemon):
    daemon.listed = [job(state="done", detail=None, ref="f-1"), job(18, remote="ascii")]
    out = ctl("show", "/srv/inbox/a b.jpg").out
    assert "/srv/inbox/a b.jpg\n  job 17 to drive: done\n  1.2 MiB, 3 failed attempts, on the server f-1\n" in out
    assert "job 18 to ascii: failed\n  too large for the server (413)\n" in out
    assert re.search(r"  2026-01-0\d\n    \d\d:0\d:05\.0  found → queued\n", out)


def test_show_json_has_history(ctl):
    (shown,) = json.loads(ctl("show", "17", "--json").out)["jobs"]
    assert [step["state"] for step in shown["history"]] == ["queued"]


def test_jobs_escapes_control_characters(ctl, daemon):
    daemon.listed = [job(detail="\x1b[2J\x9b31m\u202egnp\n* done")]
    assert "    \\x1b[2J\\x9b31m\\u202egnp\\n* done\n" in ctl("jobs").out


def test_ctl_refused_request_exits_one(ctl):
    result = ctl("show", "404")
    assert (result.code, result.out, result.err) == (1, "", "syncd: there is no job 404\n")


def test_reload_invalid_config_prints_problems(ctl, daemon):
    daemon.problems = ["config.yaml:3: one", "config.yaml:9: two"]
    result = ctl("reload")
    assert result.code == 78
    assert result.err.splitlines()[1:] == ["syncd: config.yaml:3: one", "syncd: config.yaml:9: two"]


def test_ctl_without_daemon_exits_three(syncd, tmp_path):
    result = syncd("ctl", "--socket", tmp_path / "none.sock", "status")
    assert result.code == 3
    reason = f"the daemon is not running (nobody listens at {tmp_path}/none.sock): syncd run"
    assert result.err == f"syncd: {reason}\n"
    result = syncd("ctl", "--socket", str(tmp_path / "none.sock"), "status", "--check")
    assert (result.code, result.out) == (2, f"SYNCD CRITICAL: {reason}\n")


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("state_dir: state\ncontrol: {socket: control.sock}\n")
    return path


@pytest.mark.e2e
@pytest.mark.parametrize("arguments", [["status"], ["logs", "-f"], ["watch"], ["shutdown"]])
def test_ctl_daemon_without_socket_names_pid(syncd, config_file, lock_holder, tmp_path, arguments):
    result = syncd("ctl", "-c", config_file, *arguments)
    assert result.code == 69
    assert result.err.startswith(
        f"syncd: syncd runs (pid {lock_holder.pid}), but nothing listens at {tmp_path}/control.sock; "
    )
    assert f"end process {lock_holder.pid}" in result.err
    assert "syncd run\n" not in result.err
    assert result.err.count("\n") == 1


@pytest.mark.e2e
def test_logs_follow_ends_when_daemon_closes_connection(syncd, config_file, lock_holder, daemon, monkeypatch):
    async def log(_query):
        daemon.hub.close()
        return []

    monkeypatch.setattr(daemon, "log", log)
    result = syncd("ctl", "-c", config_file, "logs", "-f")
    assert (result.code, result.err) == (3, "syncd: the daemon has ended or closed the connection\n")


@pytest.mark.e2e
def test_ctl_stale_lock_means_no_daemon(syncd, config_file, lock_holder):
    lock_holder.kill()
    lock_holder.wait()
    result = syncd("ctl", "-c", config_file, "status")
    assert result.code == 3
    assert result.err.endswith("control.sock): syncd run\n")


@pytest.mark.e2e
def test_ctl_unreadable_lock_advises_other_user(syncd, config_file, lock_holder, tmp_path, monkeypatch):
    def denied(_state_dir):
        raise PermissionError

    monkeypatch.setattr("syncd.cli.daemon_client.holder", denied)
    result = syncd("ctl", "-c", config_file, "status")
    assert result.code == 3
    assert result.err == (
        f"syncd: nothing listens at {tmp_path}/control.sock, and this user cannot read the daemon's lock; "
        "run the command as root or as the daemon's user\n"
    )


@pytest.mark.e2e
def test_shutdown_waits_for_lock_release(syncd, config_file, lock_holder, daemon, monkeypatch):
    """The daemon removes its socket some time before it unlocks the state folder."""
    polls = []

    async def shutdown():
        os.unlink(daemon.socket)

    def poll_holder(self):
        polls.append(1)
        if len(polls) == 5:
            lock_holder.stdin.close()
            lock_holder.wait()
        return original(self)

    original = DaemonClient.lock_holder
    monkeypatch.setattr(daemon, "shutdown", shutdown)
    monkeypatch.setattr(DaemonClient, "lock_holder", poll_holder)
    result = syncd("ctl", "-c", config_file, "shutdown")
    assert (result.code, result.out, len(polls)) == (0, "ended\n", 5)


def test_ctl_reads_socket_from_configuration(syncd, daemon, tmp_path):
    (tmp_path / "c.yaml").write_text("control: {socket: control.sock}\n")
    assert syncd("ctl", "-c", tmp_path / "c.yaml", "start").code == 0
    assert daemon.asked == ["start"]


def test_ctl_missing_configuration_is_config_error(syncd, tmp_path):
    result = syncd("ctl", "-c", tmp_path / "none.yaml", "start")
    assert (result.code, result.err) == (
        78,
        f"syncd: {tmp_path}/none.yaml: there is no such file — write one with syncd init\n",
    )


def test_shutdown_waits_until_socket_is_gone(ctl, daemon, monkeypatch):
    polls = []

    async def status():
        polls.append(1)
        if len(polls) == 3:
            os.unlink(daemon.socket)
        return STATUS

    monkeypatch.setattr(daemon, "status", status)
    result = ctl("shutdown")
    assert (result.code, result.out, len(polls)) == (0, "ended\n", 3)
    assert daemon.asked == ["shutdown"]


def test_shutdown_timeout_exits_one(ctl, monkeypatch):
    monkeypatch.setattr("syncd.cli.ctl.command.SHUTDOWN_TIMEOUT_SECONDS", 0.2)
    result = ctl("shutdown")
    assert (result.code, result.err) == (1, "syncd: the daemon is still running 0.2 s after the request; see its log\n")


@pytest.mark.e2e
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_status_on_terminal_respects_no_color(daemon, no_color, coloured):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color}
    command = command_line("ctl", "--socket", daemon.socket, "status")
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    out = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"running" in out
    assert (b"\x1b[" in out) is coloured


def test_status_in_pipe_has_no_colours(ctl):
    assert "\x1b" not in ctl("status").out


@pytest.mark.e2e
@pytest.mark.parametrize("by", ["--socket", "-c"])
def test_ctl_imports_no_heavy_modules(daemon, tmp_path, by):
    config = tmp_path / "config.yaml"
    config.write_text(f"control: {{socket: {daemon.socket}}}")
    where = {"--socket": str(daemon.socket), "-c": str(config)}[by]
    script = (
        "import sys; from syncd.cli import main\n"
        f"sys.argv = ['syncd', 'ctl', {by!r}, {where!r}, 'status']\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "running" in result.stdout
    heavy = {"aiohttp", "asyncio", "pydantic", "rich", "sqlalchemy", "structlog", "watchdog", "PIL", "platformdirs"}
    heavy |= {"email", "http", "importlib.metadata", "pathspec", "ssl", "subprocess", "tempfile"}
    assert heavy.isdisjoint(result.stderr.split())


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("answer", "code", "printed", "calls"),
    [
        ("y\n", 0, "5 jobs cancelled\n", ["status", ("cancel", None)]),
        ("\n", 1, "nothing was cancelled\n", ["status"]),
        ("\x04", 130, "", ["status"]),
    ],
)
def test_cancel_all_on_terminal_asks_for_confirmation(daemon, answer, code, printed, calls):
    with TerminalCommand("ctl", "--socket", daemon.socket, "cancel", "--all") as command:
        command.expect("Cancel 5 unfinished jobs?")
        command.expect("[y/N]: ")
        command.send(answer)
        assert command.end() == code
        assert command.text.endswith(printed)
    assert daemon.asked == calls
