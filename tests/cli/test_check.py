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
from tests.cli.conftest import listening
from tests.control.fake import STATUS, FakeDaemon

KIB, MIB = 1024, 1024 * 1024


@pytest.fixture
def found(syncd):
    """Run ``check --json``; return its exit code and the findings by the first word of where they are."""

    def run(config):
        ended = syncd("check", "-c", config, "--json")
        document = json.loads(ended.out)
        assert document["ok"] is (ended.code == 0)
        return ended.code, {finding["where"].partition(" ")[0]: finding for finding in document["findings"]}

    return run


@pytest.mark.e2e
def test_all_is_well(found, config, receiver):
    code, seen = found(config(receiver))
    assert code == 0
    assert {where: finding["level"] for where, finding in seen.items()} == dict.fromkeys(
        ["configuration", "user", "control", "clock", "folder", "inotify", "state", "daemon", "remote", "speed"], "ok"
    )
    assert re.fullmatch(r"answers in \d+ ms", seen["remote"]["what"])


def test_every_problem_of_the_configuration_is_told(syncd, tmp_path):
    (tmp_path / "c.yaml").write_text("folders: [{path: in, remot: x}]\nremotes: {x: {type: image, url: nonsense}}\n")
    ended = syncd("check", "-c", tmp_path / "c.yaml")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.count("error  configuration: ") >= 2
    assert "did you mean remote?" in ended.out


@pytest.mark.e2e
def test_warnings_do_not_fail(found, config, receiver, tmp_path):
    path = config(receiver, extra="control: {socket: c.sock, dashboard: off}")
    (tmp_path / "token").write_text("t0ken")
    (tmp_path / "token").chmod(0o644)
    path.write_text(path.read_text().replace("type: image,", "type: image, token_file: token,"))
    code, seen = found(path)
    assert (code, seen["configuration"]["level"]) == (0, "warn")
    assert "others on this machine can read" in seen["configuration"]["what"]


def test_a_server_that_is_not_there(found, config, closed_port):
    code, seen = found(config(f"http://127.0.0.1:{closed_port}"))
    assert (code, seen["remote"]["level"]) == (1, "error")
    assert "refused" in seen["remote"]["what"]
    assert seen["remote"]["advice"]


@pytest.mark.e2e
def test_a_token_that_is_not_accepted(found, config, process, tmp_path):
    server = process(
        "serve", "--dir", tmp_path / "r", "--port", "0", env={**os.environ, "SYNCD_SERVE_TOKEN": "right-token"}
    )
    path = config(server.stdout.readline().split()[0])
    text = path.read_text()
    path.write_text(text.replace("type: image,", "type: image, token: wrong-token,"))
    path.chmod(0o600)
    code, seen = found(path)
    assert (code, seen["remote"]["level"]) == (1, "error")
    assert "valid token" in seen["remote"]["advice"]
    path.write_text(text.replace("{type:", "{token: right-token, type:"))
    assert found(path)[0] == 0


@pytest.mark.e2e
def test_a_folder_that_is_not_there(found, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox").rmdir()
    code, seen = found(path)
    assert (code, seen["folder"]["level"], seen["folder"]["what"]) == (1, "error", "does not exist")
    (tmp_path / "inbox").write_text("")
    assert found(path)[1]["folder"]["what"] == "is not a folder"


@pytest.mark.e2e
def test_more_folders_than_the_kernel_watches(found, config, receiver, tmp_path, monkeypatch):
    path = config(receiver)
    for name in "abc":
        (tmp_path / "inbox" / name).mkdir()
    monkeypatch.setattr(folders, "INOTIFY_LIMITS", tmp_path)
    limit = tmp_path / "max_user_watches"
    limit.write_text("3\n")
    code, seen = found(path)
    assert (code, seen["inotify"]["level"]) == (1, "error")
    assert seen["inotify"]["what"] == "4 folders to watch, 3 allowed"
    assert seen["inotify"]["advice"].startswith(
        "echo fs.inotify.max_user_watches=8 | sudo tee -a /etc/sysctl.d/60-syncd.conf && sudo sysctl --system; "
    )
    limit.write_text("4\n")
    assert found(path)[1]["inotify"]["level"] == "warn"
    path.write_text(path.read_text().replace("path: inbox,", "path: inbox, watch: poll,"))
    assert "inotify" not in found(path)[1]


@pytest.mark.e2e
def test_more_folders_in_the_configuration_than_the_kernel_has_queues(found, config, receiver, tmp_path, monkeypatch):
    path = config(receiver)
    (tmp_path / "second").mkdir()
    path.write_text(path.read_text().replace("folders: [", "folders: [{path: second, remote: drive}, "))
    monkeypatch.setattr(folders, "INOTIFY_LIMITS", tmp_path)
    (tmp_path / "max_user_instances").write_text("1\n")
    code, seen = found(path)
    assert (code, seen["inotify"]["what"]) == (1, "2 watched folders, 1 allowed")
    assert "max_user_instances=4" in seen["inotify"]["advice"]


@pytest.mark.e2e
def test_a_state_folder_that_can_not_be(found, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "state").write_text("")
    code, seen = found(path)
    assert (code, seen["state"]["level"]) == (1, "error")
    assert "is not a folder" in seen["state"]["what"]


def test_a_store_that_can_not_be_used(found, config, closed_port, tmp_path):
    path = config(f"http://127.0.0.1:{closed_port}")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "syncd.db").write_bytes(b"precious " * 1000)
    code, seen = found(path)
    assert (code, seen["job"]["level"]) == (1, "error")
    assert "not a database" in seen["job"]["what"]
    assert os.listdir(tmp_path / "state") == ["syncd.db"]


def test_a_server_that_says_yes_to_everything(found, config):
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
        code, seen = found(config(f"http://127.0.0.1:{portal.server_port}"))
        portal.shutdown()
        thread.join()
    assert (code, seen["remote"]["level"]) == (1, "error")
    assert "API: it answered 200 for" in seen["remote"]["what"]
    assert "check url and type" in seen["remote"]["advice"]
    assert "speed" not in seen  # which would be another word on the same


@pytest.mark.e2e
def test_it_makes_nothing(found, config, receiver, tmp_path):
    found(config(receiver))
    assert not (tmp_path / "state").exists()


@pytest.mark.e2e
def test_a_daemon_whose_socket_is_missing_is_told_apart(found, config, receiver, holder):
    code, seen = found(config(receiver))
    daemon = seen["daemon"]
    assert (code, daemon["level"]) == (0, "warn")
    assert daemon["what"].startswith(f"syncd runs (pid {holder.pid}), but nothing listens at ")
    assert "start it with" not in daemon["advice"]


@pytest.mark.e2e
def test_a_daemon_that_runs_is_named(found, config, receiver, tmp_path):
    daemon = FakeDaemon()
    daemon.status_document = {**STATUS, "version": __version__}
    with listening(daemon, tmp_path / "state" / "control.sock"):
        code, seen = found(config(receiver))
        assert (code, seen["daemon"]["what"]) == (0, "is running with pid 4711")
        daemon.status_document = {**STATUS, "version": "0.0.1"}
        code, seen = found(config(receiver))
    assert (code, seen["daemon"]["level"], seen["daemon"]["advice"]) == (0, "warn", "restart it")
    assert "is syncd 0.0.1; this is" in seen["daemon"]["what"]


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
def test_what_the_daemon_uses_is_told(syncd, config, receiver, tmp_path, used, level, what):
    daemon = FakeDaemon()
    (remote,) = STATUS["remotes"]
    daemon.status_document = {
        **STATUS,
        "version": __version__,
        "remotes": [{**remote, "url": receiver, **used}],
    }
    with listening(daemon, tmp_path / "state" / "control.sock"):
        ended = syncd("check", "-c", config(receiver), "--json")
    findings = {finding["where"]: finding for finding in json.loads(ended.out)["findings"]}
    finding = findings["daemon's remote drive"]
    assert (ended.code, finding["level"], finding["what"]) == (0, level, what)
    assert bool(finding["advice"]) is (level == "warn")


@pytest.mark.e2e
def test_a_dashboard_that_could_not_be_there(found, config, receiver):
    with socket.create_server(("127.0.0.1", 0)) as other:
        path = config(receiver, extra=f"control: {{dashboard: 127.0.0.1:{other.getsockname()[1]}}}")
        code, seen = found(path)
    assert (code, seen["dashboard"]["level"], seen["dashboard"]["what"]) == (0, "warn", "Address already in use")
    assert "control.dashboard" in seen["dashboard"]["advice"]
    assert found(path)[1]["dashboard"]["level"] == "ok"


def test_a_proxy_is_named_without_its_password(found, config, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{closed_port}")
    code, seen = found(config("http://photos.example"))
    assert (code, "hunter2" in str(seen)) == (1, False)
    assert f"the proxy 127.0.0.1:{closed_port}" in seen["remote"]["advice"]


def drive(path):
    """Return the settings of the first server."""
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
def test_advice_about_a_server(config, failure, advice):
    assert re.search(advice, server._advice(failure, drive(config("http://drive.test"))))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (3600, r"is (59 min 59 s|1 h) ahead of that of drive"),
        (-300, r"is (4 min 59 s|5 min|5 min 1 s) behind that of drive"),
    ],
)
async def test_a_clock_that_is_wrong(config, receiver, ahead, said):
    finding = await server.check_clock("drive", drive(config(receiver)), lambda: time.time() + ahead)
    assert finding.level == "warn"
    assert re.fullmatch(said, finding.what)  # a server tells the whole second


class Endpoint:
    """A server at the end of a line of so many bytes a second. It refuses what it should, or fails from a size on."""

    def __init__(self, pace, failure=None, *, fails_from=1):
        self.pace, self.failure, self.fails_from = pace, failure, fails_from
        self.now, self.sizes = 0.0, []

    async def measure_upload(self, size):
        if self.failure and size >= self.fails_from:
            raise self.failure
        self.sizes.append(size)
        self.now += size / self.pace

    async def measured(self, *, most=4 * MIB, bandwidth=None):
        return await server.check_speed("drive", self, most=most, bandwidth=bandwidth, timer=lambda: self.now)


@pytest.mark.parametrize(
    ("pace", "limits", "largest", "said"),
    [
        (100 * MIB, {}, 4 * MIB, "100 MiB/s upload (single 4.0 MiB requests"),
        (MIB, {}, MIB // 2, "1.0 MiB/s upload (single 512 KiB requests"),
        (KIB, {}, KIB, "1.0 KiB/s upload (single 1.0 KiB requests"),
        (100 * MIB, {"most": 48 * KIB}, 48 * KIB, "100 MiB/s upload (single 48 KiB requests"),
        (100 * MIB, {"bandwidth": 20 * KIB}, 20 * KIB, "100 MiB/s upload (single 20 KiB requests"),
        (MIB, {"bandwidth": 100}, 100, "1.0 MiB/s upload (single 100 B requests"),
    ],
)
async def test_the_speed_is_told_by_the_smallest_request_that_tells_it(pace, limits, largest, said):
    line = Endpoint(pace)
    finding = await line.measured(**limits)
    assert (finding.level, finding.what) == ("ok", f"{said}, rejected by the server; nothing was stored)")
    assert line.sizes[-1] == largest
    assert line.now < 2.5


async def test_no_speed_is_measured_where_nothing_may_be_sent():
    line = Endpoint(MIB)
    assert "bandwidth limit is 0" in (await line.measured(bandwidth=0)).what
    assert line.sizes == []


@pytest.mark.parametrize(
    ("failure", "level", "said"),
    [
        (Permanent("it took it"), "warn", "not measured: it took it"),
        (Permanent("moved", advice="set url to that"), "error", "not measured: moved"),
        (Unauthorized("401"), "error", "not measured: 401"),
    ],
)
async def test_a_server_that_does_not_refuse_a_first_chunk(failure, level, said):
    finding = await Endpoint(MIB, failure).measured()
    assert (finding.level, finding.what) == (level, said)
    assert finding.advice


@pytest.mark.parametrize(
    ("failure", "level"), [(Permanent("413", advice="set chunk_size to less"), "warn"), (Permanent("early"), "ok")]
)
async def test_a_server_that_takes_small_chunks_alone(failure, level):
    finding = await Endpoint(64 * MIB, failure, fails_from=100_000).measured()
    assert (finding.level, finding.advice) == (level, failure.advice)
    assert finding.what == f"64 MiB/s upload (single 64 KiB requests); a larger one failed: {failure.problem}"


@pytest.mark.e2e
async def test_a_proxy_that_the_service_does_not_know(config, receiver, monkeypatch):
    settings = drive(config(receiver))
    monkeypatch.setattr(server, "_proxy", lambda _settings: "proxy.test:3128")
    remote = make_remote("drive", settings, throttle=server._Unthrottled(), clock=time.time, user_agent="test")
    for environment, level in {"A=1": "warn", "A=1 HTTPS_PROXY=http://proxy.test:3128": "ok"}.items():
        sandbox = Sandbox(unit="syncd@photos", settings={"Environment": environment})
        finding = await server.check_reach("drive", settings, remote, sandbox)
        assert (finding.level, "systemctl edit syncd@photos" in finding.advice) == (level, level == "warn")
    assert (await server.check_reach("drive", settings, remote, None)).level == "ok"
    await remote.close()
