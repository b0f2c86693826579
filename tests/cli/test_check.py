import json
import os
import re
import socket
import time

import pytest

from syncd.cli import findings
from syncd.config import paths
from syncd.config.load import load
from tests.cli.conftest import listening
from tests.control.fake import FakeDaemon


@pytest.fixture
def found(syncd):
    """Run ``check --json``; return its exit code and the findings by the first word of where they are."""

    def run(config):
        ended = syncd("check", "-c", config, "--json")
        document = json.loads(ended.out)
        assert document["ok"] is (ended.code == 0)
        return ended.code, {finding["where"].partition(" ")[0]: finding for finding in document["findings"]}

    return run


@pytest.fixture
def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]  # bound, and nobody listens


def test_all_is_well(found, config, receiver):
    code, seen = found(config(receiver))
    assert code == 0
    assert {where: finding["level"] for where, finding in seen.items()} == dict.fromkeys(
        ["configuration", "user", "control", "clock", "folder", "inotify", "state", "daemon", "server"], "ok"
    )
    assert re.fullmatch(r"answers in \d+ ms", seen["server"]["what"])


def test_every_problem_of_the_configuration_is_told(syncd, tmp_path):
    (tmp_path / "c.yaml").write_text("folders: [{path: in, remot: x}]\nremotes: {x: {type: image, url: nonsense}}\n")
    ended = syncd("check", "-c", tmp_path / "c.yaml")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.count("error  configuration: ") >= 2
    assert "did you mean remote?" in ended.out


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
    assert (code, seen["server"]["level"]) == (1, "error")
    assert "refused" in seen["server"]["what"]
    assert seen["server"]["advice"]


def test_a_token_that_is_not_accepted(found, config, process, tmp_path):
    server = process(
        "serve", "--dir", tmp_path / "r", "--port", "0", env={**os.environ, "SYNCD_SERVE_TOKEN": "right-token"}
    )
    path = config(server.stdout.readline().split()[0])
    text = path.read_text()
    path.write_text(text.replace("type: image,", "type: image, token: wrong-token,"))
    path.chmod(0o600)
    code, seen = found(path)
    assert (code, seen["server"]["level"]) == (1, "error")
    assert "valid token" in seen["server"]["advice"]
    path.write_text(text.replace("{type:", "{token: right-token, type:"))
    assert found(path)[0] == 0


def test_a_folder_that_is_not_there(found, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox").rmdir()
    code, seen = found(path)
    assert (code, seen["folder"]["level"], seen["folder"]["what"]) == (1, "error", "is not there")
    (tmp_path / "inbox").write_text("")
    assert found(path)[1]["folder"]["what"] == "is not a folder"


def test_more_folders_than_the_kernel_watches(found, config, receiver, tmp_path, monkeypatch):
    path = config(receiver)
    for name in "abc":
        (tmp_path / "inbox" / name).mkdir()
    limit = tmp_path / "max_user_watches"
    monkeypatch.setattr(findings, "_WATCHES", limit)
    limit.write_text("3\n")
    code, seen = found(path)
    assert (code, seen["inotify"]["level"]) == (1, "error")
    assert "4 folders to watch, 3 allowed" in seen["inotify"]["what"]
    assert "max_user_watches=8" in seen["inotify"]["advice"]
    limit.write_text("4\n")
    assert found(path)[1]["inotify"]["level"] == "warn"
    path.write_text(path.read_text().replace("path: inbox,", "path: inbox, watch: poll,"))
    assert "inotify" not in found(path)[1]


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


def test_it_makes_nothing(found, config, receiver, tmp_path):
    found(config(receiver))
    assert not (tmp_path / "state").exists()


def test_a_daemon_that_runs_is_named(found, config, receiver, tmp_path):
    with listening(FakeDaemon(), tmp_path / "state" / "control.sock"):
        code, seen = found(config(receiver))
    assert (code, seen["daemon"]["what"]) == (0, "is running with pid 4711")


def test_a_dashboard_that_could_not_be_there(found, config, receiver):
    with socket.create_server(("127.0.0.1", 0)) as other:
        path = config(receiver, extra=f"control: {{dashboard: 127.0.0.1:{other.getsockname()[1]}}}")
        code, seen = found(path)
    assert (code, seen["dashboard"]["level"], seen["dashboard"]["what"]) == (0, "warn", "Address already in use")
    assert "control.dashboard" in seen["dashboard"]["advice"]
    assert found(path)[1]["dashboard"]["level"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")
def test_the_systems_configuration_is_looked_at_as_its_daemon_will(found, config, receiver, monkeypatch):
    path = config(receiver, extra="control: {socket: c.sock, dashboard: off, group: daemon}")
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", path)
    monkeypatch.setattr(findings, "USER", "nobody")
    code, seen = found(path)
    assert (code, seen["user"]["where"]) == (1, "user nobody")
    assert seen["control"]["what"] == "for root and nobody, and the group daemon"
    assert seen["folder"]["advice"] == "give user nobody the right to read and enter it"
    assert seen["state"]["level"] == "error"
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_folder_that_the_sandbox_hides(found, config, receiver, monkeypatch, tmp_path):
    path = config(receiver)
    monkeypatch.setattr(findings, "_HOMES", (str(tmp_path),))
    assert "sandbox" not in found(path)[1]
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", path)
    monkeypatch.setattr(findings.user, "exists", lambda _name: False)
    assert "ProtectHome=read-only" in found(path)[1]["sandbox"]["advice"]


def test_a_proxy_is_named_without_its_password(found, config, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{closed_port}")
    code, seen = found(config("http://photos.example"))
    assert (code, "hunter2" in str(seen)) == (1, False)
    assert f"the proxy 127.0.0.1:{closed_port} the right way" in seen["server"]["advice"]


def test_a_certificate_that_is_out_of_date_may_be_a_clock_that_is():
    assert "clock" in findings._what_to_do("the certificate is not trusted (certificate is not yet valid)", None)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (3600, r"is (59 min 59 s|1 h) ahead of that of drive"),
        (-300, r"is (4 min 59 s|5 min|5 min 1 s) behind that of drive"),
    ],
)
async def test_a_clock_that_is_wrong(config, receiver, ahead, said):
    settings = next(iter(load(config(receiver)).config.remotes.values()))
    finding = await findings.check_clock("drive", settings, lambda: time.time() + ahead)
    assert finding.level == "warn"
    assert re.fullmatch(said, finding.what)  # a server tells the whole second
