import json
import os
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from syncd import __version__
from syncd.cli.check import folders, server
from syncd.config.load import load
from syncd.core.errors import Permanent, Transient, Unauthorized
from syncd.platform.systemd.sandbox import Sandbox
from syncd.remotes.factory import make_remote
from tests.cli.conftest import control_server
from tests.control.fake import STATUS, FakeDaemon
from tests.support.clock import ManualClock, OffsetClock

KIB, MIB = 1024, 1024 * 1024


@pytest.fixture
def check(syncd):
    """Run ``check --json``; return the exit code and the findings.

    The key of a finding is the first word of ``where``.
    """

    def run(config):
        result = syncd("check", "-c", config, "--json")
        document = json.loads(result.out)
        assert document["ok"] is (result.code == 0)
        return result.code, {finding["where"].partition(" ")[0]: finding for finding in document["findings"]}

    return run


@pytest.mark.e2e
def test_check_valid_setup_reports_only_ok(check, config, receiver):
    code, findings = check(config(receiver))
    assert code == 0
    assert {where: finding["level"] for where, finding in findings.items()} == dict.fromkeys(
        ["configuration", "user", "control", "clock", "folder", "inotify", "state", "daemon", "remote", "speed"], "ok"
    )
    assert re.fullmatch(r"answers in \d+ ms", findings["remote"]["what"])


def test_check_invalid_config_reports_every_problem(syncd, tmp_path):
    (tmp_path / "c.yaml").write_text("folders: [{path: in, remot: x}]\nremotes: {x: {type: image, url: nonsense}}\n")
    result = syncd("check", "-c", tmp_path / "c.yaml")
    assert (result.code, result.err) == (1, "")
    assert result.out.count("error  configuration: ") >= 2
    assert "did you mean remote?" in result.out


@pytest.mark.e2e
def test_check_with_warnings_exits_zero(check, config, receiver, tmp_path):
    path = config(receiver, extra="control: {socket: c.sock, dashboard: off}")
    (tmp_path / "token").write_text("t0ken")
    (tmp_path / "token").chmod(0o644)
    path.write_text(path.read_text().replace("type: image,", "type: image, token_file: token,"))
    code, findings = check(path)
    assert (code, findings["configuration"]["level"]) == (0, "warn")
    assert "others on this machine can read" in findings["configuration"]["what"]


def test_check_unreachable_server_is_error(check, config, closed_port):
    code, findings = check(config(f"http://127.0.0.1:{closed_port}"))
    assert (code, findings["remote"]["level"]) == (1, "error")
    assert "refused" in findings["remote"]["what"]
    assert findings["remote"]["advice"]


@pytest.mark.e2e
def test_check_rejected_token_is_error(check, config, process, tmp_path):
    server = process(
        "serve", "--dir", tmp_path / "r", "--port", "0", env={**os.environ, "SYNCD_SERVE_TOKEN": "right-token"}
    )
    path = config(server.stdout.readline().split()[0])
    text = path.read_text()
    path.write_text(text.replace("type: image,", "type: image, token: wrong-token,"))
    path.chmod(0o600)
    code, findings = check(path)
    assert (code, findings["remote"]["level"]) == (1, "error")
    assert "valid token" in findings["remote"]["advice"]
    path.write_text(text.replace("{type:", "{token: right-token, type:"))
    assert check(path)[0] == 0


@pytest.mark.e2e
def test_check_missing_folder_is_error(check, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox").rmdir()
    code, findings = check(path)
    assert (code, findings["folder"]["level"], findings["folder"]["what"]) == (1, "error", "does not exist")
    (tmp_path / "inbox").write_text("")
    assert check(path)[1]["folder"]["what"] == "is not a folder"


def test_check_notes_videos_that_patterns_leave_out(syncd, config, closed_port, tmp_path):
    path = config(f"http://127.0.0.1:{closed_port}")
    for name in ("a.jpg", "clip.MP4", "other.mov", ".hidden.mp4"):
        (tmp_path / "inbox" / name).write_bytes(b"content")
    result = syncd("check", "-c", path)
    assert "2 video files left out by its patterns" in result.out
    assert '"*.mov", "*.mp4"' in result.out


@pytest.mark.e2e
def test_check_compares_max_user_watches(check, config, receiver, tmp_path, monkeypatch):
    path = config(receiver)
    for name in "abc":
        (tmp_path / "inbox" / name).mkdir()
    monkeypatch.setattr(folders, "INOTIFY_LIMITS", tmp_path)
    limit = tmp_path / "max_user_watches"
    limit.write_text("3\n")
    code, findings = check(path)
    assert (code, findings["inotify"]["level"]) == (1, "error")
    assert findings["inotify"]["what"] == "4 folders to watch, 3 allowed"
    assert findings["inotify"]["advice"].startswith(
        "echo fs.inotify.max_user_watches=8 | sudo tee -a /etc/sysctl.d/60-syncd.conf && sudo sysctl --system; "
    )
    limit.write_text("4\n")
    assert check(path)[1]["inotify"]["level"] == "warn"
    path.write_text(path.read_text().replace("path: inbox,", "path: inbox, watch: poll,"))
    assert "inotify" not in check(path)[1]


@pytest.mark.e2e
def test_check_compares_max_user_instances(check, config, receiver, tmp_path, monkeypatch):
    path = config(receiver)
    (tmp_path / "second").mkdir()
    path.write_text(path.read_text().replace("folders: [", "folders: [{path: second, remote: drive}, "))
    monkeypatch.setattr(folders, "INOTIFY_LIMITS", tmp_path)
    (tmp_path / "max_user_instances").write_text("1\n")
    code, findings = check(path)
    assert (code, findings["inotify"]["what"]) == (1, "2 watched folders, 1 allowed")
    assert "max_user_instances=4" in findings["inotify"]["advice"]


@pytest.mark.e2e
def test_check_state_folder_is_file_is_error(check, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "state").write_text("")
    code, findings = check(path)
    assert (code, findings["state"]["level"]) == (1, "error")
    assert "is not a folder" in findings["state"]["what"]


def test_check_corrupt_store_is_error(check, config, closed_port, tmp_path):
    path = config(f"http://127.0.0.1:{closed_port}")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "syncd.db").write_bytes(b"precious " * 1000)
    code, findings = check(path)
    assert (code, findings["job"]["level"]) == (1, "error")
    assert "not a database" in findings["job"]["what"]
    assert os.listdir(tmp_path / "state") == ["syncd.db"]


def test_check_server_without_upload_api_is_error(check, config):
    class Portal(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as portal:
        thread = threading.Thread(target=portal.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        code, findings = check(config(f"http://127.0.0.1:{portal.server_port}"))
        portal.shutdown()
        thread.join()
    assert (code, findings["remote"]["level"]) == (1, "error")
    assert "API: it answered 200 for" in findings["remote"]["what"]
    assert "check url and type" in findings["remote"]["advice"]
    assert "speed" not in findings  # the connection failed already


@pytest.mark.e2e
def test_check_does_not_create_state_folder(check, config, receiver, tmp_path):
    check(config(receiver))
    assert not (tmp_path / "state").exists()


@pytest.mark.e2e
def test_check_daemon_without_socket_warns(check, config, receiver, lock_holder):
    code, findings = check(config(receiver))
    daemon = findings["daemon"]
    assert (code, daemon["level"]) == (0, "warn")
    assert daemon["what"].startswith(f"syncd runs (pid {lock_holder.pid}), but nothing listens at ")
    assert "start it with" not in daemon["advice"]


@pytest.mark.e2e
def test_check_running_daemon_compares_versions(check, config, receiver, tmp_path):
    daemon = FakeDaemon()
    daemon.status_document = {**STATUS, "version": __version__}
    with control_server(daemon, tmp_path / "state" / "control.sock"):
        code, findings = check(config(receiver))
        assert (code, findings["daemon"]["what"]) == (0, "is running with pid 4711")
        daemon.status_document = {**STATUS, "version": "0.0.1"}
        code, findings = check(config(receiver))
    assert (code, findings["daemon"]["level"], findings["daemon"]["advice"]) == (0, "warn", "restart it")
    assert f", version 0.0.1; this command is version {__version__}" in findings["daemon"]["what"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("used", "level", "what"),
    [
        ({}, "ok", "is online"),
        ({"name": "another"}, "warn", "is unknown to the daemon"),
        ({"url": "http://other"}, "warn", "still uses http://other"),
        ({"state": "unauthorized", "detail": "401"}, "warn", "is unauthorized: 401"),
        ({"credentials_problem": "no key"}, "warn", "still uses the former credentials: no key"),
    ],
)
def test_check_compares_remote_with_running_daemon(syncd, config, receiver, tmp_path, used, level, what):
    daemon = FakeDaemon()
    (remote,) = STATUS["remotes"]
    daemon.status_document = {
        **STATUS,
        "version": __version__,
        "remotes": [{**remote, "url": receiver, **used}],
    }
    with control_server(daemon, tmp_path / "state" / "control.sock"):
        result = syncd("check", "-c", config(receiver), "--json")
    findings = {finding["where"]: finding for finding in json.loads(result.out)["findings"]}
    finding = findings["daemon's remote drive"]
    assert (result.code, finding["level"], finding["what"]) == (0, level, what)
    assert bool(finding["advice"]) is (level == "warn")


@pytest.mark.e2e
def test_check_dashboard_port_in_use_warns(check, config, receiver):
    with socket.create_server(("127.0.0.1", 0)) as other:
        path = config(receiver, extra=f"control: {{dashboard: 127.0.0.1:{other.getsockname()[1]}}}")
        code, findings = check(path)
    assert (code, findings["dashboard"]["level"], findings["dashboard"]["what"]) == (
        0,
        "warn",
        "Address already in use",
    )
    assert "control.dashboard" in findings["dashboard"]["advice"]
    assert check(path)[1]["dashboard"]["level"] == "ok"


def test_check_proxy_omits_password(check, config, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{closed_port}")
    code, findings = check(config("http://photos.example"))
    assert (code, "hunter2" in str(findings)) == (1, False)
    assert f"the proxy 127.0.0.1:{closed_port}" in findings["remote"]["advice"]


def first_remote(path):
    """Return the settings of the configuration's first remote."""
    return next(iter(load(path).config.remotes.values()))


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (Transient("it has expired", advice="correct this machine's clock"), r"clock \(now .* UTC\)"),
        (Transient("the proxy answered 407", advice="put the password into proxy"), "^put the password into proxy$"),
        (Unauthorized("401"), "the server requires a token: set token_file"),
        (Permanent("403"), "that the token may upload there"),
        (Transient("drive closed the connection without an answer"), "may require https"),
        (Transient("connection refused"), "check the address, and that the server is up"),
        (Transient("drive answered 503 to GET /"), "try again later"),
        (Transient("the response of drive to GET / was not understood"), "check url, type, prefix"),
    ],
)
def test_advice_names_likely_cause(config, failure, advice):
    assert re.search(advice, server._advice(failure, first_remote(config("http://drive.test"))))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (3600, r"is (59 min 59 s|1 h) ahead of the clock of drive"),
        (-300, r"is (4 min 59 s|5 min|5 min 1 s) behind the clock of drive"),
    ],
)
async def test_check_clock_difference_warns(config, receiver, ahead, expected):
    finding = await server.check_clock("drive", first_remote(config(receiver)), OffsetClock(ahead))
    assert finding.level == "warn"
    assert re.fullmatch(expected, finding.what)  # the Date header has whole seconds


class FakeRemote:
    """A remote with a fixed upload rate that rejects chunks, or fails for large ones."""

    def __init__(self, bytes_per_second, failure=None, *, fails_from=1):
        self.bytes_per_second, self.failure, self.fails_from = bytes_per_second, failure, fails_from
        self.clock, self.sizes = ManualClock(0.0), []

    async def measure_upload(self, size):
        if self.failure and size >= self.fails_from:
            raise self.failure
        self.sizes.append(size)
        self.clock.advance(size / self.bytes_per_second)

    async def measure(self, *, most=4 * MIB, bandwidth=None):
        return await server.check_speed("drive", self, most=most, bandwidth=bandwidth, timer=self.clock)


@pytest.mark.parametrize(
    ("bytes_per_second", "limits", "largest", "expected"),
    [
        (100 * MIB, {}, 4 * MIB, "100 MiB/s upload (single 4.0 MiB requests"),
        (MIB, {}, MIB // 2, "1.0 MiB/s upload (single 512 KiB requests"),
        (KIB, {}, KIB, "1.0 KiB/s upload (single 1.0 KiB requests"),
        (100 * MIB, {"most": 48 * KIB}, 48 * KIB, "100 MiB/s upload (single 48 KiB requests"),
        (100 * MIB, {"bandwidth": 20 * KIB}, 20 * KIB, "100 MiB/s upload (single 20 KiB requests"),
        (MIB, {"bandwidth": 100}, 100, "1.0 MiB/s upload (single 100 B requests"),
    ],
)
async def test_check_speed_stops_at_first_sufficient_request(bytes_per_second, limits, largest, expected):
    remote = FakeRemote(bytes_per_second)
    finding = await remote.measure(**limits)
    assert (finding.level, finding.what) == ("ok", f"{expected}, rejected by the server; nothing was stored)")
    assert remote.sizes[-1] == largest
    assert remote.clock.now < 2.5


async def test_check_speed_zero_bandwidth_sends_nothing():
    remote = FakeRemote(MIB)
    assert "bandwidth limit is 0" in (await remote.measure(bandwidth=0)).what
    assert remote.sizes == []


@pytest.mark.parametrize(
    ("failure", "level", "expected"),
    [
        (Permanent("it took it"), "warn", "not measured: it took it"),
        (Permanent("moved", advice="set url to that"), "error", "not measured: moved"),
        (Unauthorized("401"), "error", "not measured: 401"),
    ],
)
async def test_check_speed_first_chunk_fails_not_measured(failure, level, expected):
    finding = await FakeRemote(MIB, failure).measure()
    assert (finding.level, finding.what) == (level, expected)
    assert finding.advice


@pytest.mark.parametrize(
    ("failure", "level"), [(Permanent("413", advice="set chunk_size to less"), "warn"), (Permanent("early"), "ok")]
)
async def test_check_speed_larger_chunk_fails_keeps_result(failure, level):
    finding = await FakeRemote(64 * MIB, failure, fails_from=100_000).measure()
    assert (finding.level, finding.advice) == (level, failure.advice)
    assert finding.what == f"64 MiB/s upload (single 64 KiB requests); a larger request failed: {failure.problem}"


@pytest.mark.e2e
async def test_check_connection_proxy_missing_in_service_warns(config, receiver, monkeypatch):
    settings = first_remote(config(receiver))
    monkeypatch.setattr(server, "_proxy", lambda _settings: "proxy.test:3128")
    remote = make_remote("drive", settings, throttle=server._unlimited(), clock=time.time, user_agent="test")
    for environment, level in {"A=1": "warn", "A=1 HTTPS_PROXY=http://proxy.test:3128": "ok"}.items():
        sandbox = Sandbox(unit="syncd@photos", settings={"Environment": environment})
        finding = await server.check_connection("drive", settings, remote, sandbox)
        assert (finding.level, "systemctl edit syncd@photos" in finding.advice) == (level, level == "warn")
    assert (await server.check_connection("drive", settings, remote, None)).level == "ok"
    await remote.close()
