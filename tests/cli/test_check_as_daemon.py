"""``syncd check`` of the system's configuration: the service's user and sandbox."""

import grp
import json
import os
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from syncd.cli.check import runner
from syncd.config import paths
from syncd.platform import folders, user
from syncd.platform.systemd import sandbox as unit
from syncd.platform.systemd.sandbox import Sandbox

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="requires root, to take another user's rights")

USER = "nobody"


@pytest.fixture
def system_folder(monkeypatch):
    """A readable folder with the system's configuration and a watched folder."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        os.chmod(top, 0o755)
        system_folder = Path(top)
        (system_folder / "inbox").mkdir(mode=0o755)
        (system_folder / "state").mkdir()
        shutil.chown(system_folder / "state", USER)
        monkeypatch.setattr(paths, "SYSTEM_CONFIG", system_folder / "config.yaml")
        monkeypatch.setattr(runner, "USER", USER)
        monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings={}))
        yield system_folder


@pytest.fixture
def check(syncd, system_folder, closed_port):
    """Run check on a configuration; return the findings about this machine.

    The key of a finding is the first word of ``where``.
    """

    def run_check(
        *,
        path="inbox",
        folder="",
        remote="",
        control="",
        state="state_dir: state",
        more="",
        name="config",
        as_user="root",
    ):
        file = system_folder / f"{name}.yaml"
        file.write_text(
            f"""
folders: [{{path: {path}, remote: drive{folder}}}]
remotes: {{drive: {{type: image, url: "http://127.0.0.1:{closed_port}"{remote}}}}}
control: {{socket: {system_folder}/c.sock, dashboard: off{control}}}
{state}
{more}
"""
        )
        with user.rights_of(as_user) if as_user != "root" else nullcontext():
            document = json.loads(syncd("check", "-c", file, "--json").out)
        assert (os.geteuid(), os.getegid()) == (0, 0)
        findings = {finding["where"].partition(" ")[0]: finding for finding in document["findings"]}
        assert findings.pop("remote")["level"] == "error"
        return findings

    return run_check


def levels(findings):
    return {where: finding["level"] for where, finding in findings.items() if finding["level"] != "ok"}


def test_check_as_root_uses_rights_of_service_user(check):
    findings = check()
    assert levels(findings) == {}
    assert findings["user"]["where"] == "user nobody"
    assert findings["control"]["what"] == "accessible to root and nobody"
    assert findings["daemon"]["advice"] == "start it with: sudo systemctl enable --now syncd"


def test_check_missing_service_user_warns(check, monkeypatch):
    monkeypatch.setattr(runner, "USER", "no-such-user")
    findings = check()
    assert levels(findings) == {"user": "warn"}
    assert "sudo syncd service install" in findings["user"]["advice"]


def test_check_by_other_user_advises_sudo(check, system_folder):
    findings = check(as_user="daemon")
    assert levels(findings) == {"user": "warn"}
    assert findings["user"]["advice"] == f"sudo syncd check -c {system_folder}/config.yaml"
    assert not {"folder", "state"} & set(findings)


def test_check_closed_parent_advises_access(check, system_folder):
    (system_folder / "closed" / "inbox").mkdir(parents=True)
    (system_folder / "closed").chmod(0o700)
    findings = check(path="closed/inbox")
    assert (findings["folder"]["level"], findings["folder"]["what"]) == ("error", "permission denied")
    assert (
        findings["folder"]["advice"] == f"give user nobody access: sudo setfacl -m u:nobody:rx {system_folder}/closed"
    )


def test_check_closed_subfolder_warns(check, system_folder):
    for name in "ab":
        (system_folder / "inbox" / name).mkdir(mode=0o700)
    findings = check()
    assert levels(findings) == {"folder": "warn"}
    assert findings["folder"]["what"].startswith(f"cannot read 2 folders in it, such as {system_folder}/inbox/")


@pytest.mark.parametrize("after", ["delete", "{move: sent/now}"])
def test_check_after_upload_without_permission_is_error(check, system_folder, after):
    where = system_folder / ("inbox" if after == "delete" else "")
    shutil.chown(system_folder / "inbox", USER)
    shutil.chown(where, "root")
    findings = check(folder=f", after_upload: {after}")
    assert levels(findings) == {"after_upload": "error"}
    assert findings["after_upload"]["what"] == f"user nobody has no permission to change {where}"
    shutil.chown(where, USER)
    assert levels(check(folder=f", after_upload: {after}")) == {}


def test_check_after_upload_read_only_sandbox_is_error(check, system_folder, monkeypatch):
    shutil.chown(system_folder / "inbox", USER)
    settings = {"ProtectSystem": "strict", "ReadWritePaths": "/elsewhere"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert levels(check()) == {}
    advice = check(folder=", after_upload: delete")["after_upload"]["advice"]
    assert advice == f"run systemctl edit syncd and add: [Service] ReadWritePaths={system_folder}/inbox"
    settings["ReadWritePaths"] += f" -{system_folder}"
    assert levels(check(folder=", after_upload: delete")) == {}


def test_check_folder_hidden_by_sandbox_advises_override(check, system_folder, monkeypatch):
    monkeypatch.setattr(unit, "_HOMES", (str(system_folder),))
    monkeypatch.setattr(unit, "_TEMPORARY", ())
    settings = {"ProtectHome": "yes"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert "ProtectHome=read-only" in check()["sandbox"]["advice"]
    settings["BindReadOnlyPaths"] = f"{system_folder}/inbox:{system_folder}/inbox:rbind"
    assert "sandbox" not in check()


def test_check_supplementary_group_gives_access(check, system_folder, monkeypatch):
    os.chown(system_folder / "inbox", 0, grp.getgrnam("daemon").gr_gid)
    (system_folder / "inbox").chmod(0o750)
    assert levels(check()) == {"folder": "error"}
    settings = {"SupplementaryGroups": "daemon"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert levels(check()) == {}


def test_check_socket_group_without_user_is_error(check):
    findings = check(control=", group: daemon")
    assert levels(findings) == {"control": "error"}
    assert findings["control"]["what"] == "user nobody is not a member of the socket's group daemon"
    assert levels(check(control=", group: nogroup")) == {}


def test_check_state_folder_of_other_user_is_error(check, system_folder):
    shutil.chown(system_folder / "state", "root")
    (system_folder / "state").chmod(0o755)
    findings = check()
    assert levels(findings) == {"state": "error"}
    assert findings["state"]["advice"].startswith(f"sudo setfacl -m u:nobody:rwx {system_folder}/state")


def test_check_store_of_root_advises_chown(check, system_folder):
    (system_folder / "state" / "syncd.db").touch(0o600)
    findings = check()
    assert levels(findings) == {"job": "error"}
    assert f"sudo chown nobody: {system_folder}/state/syncd.db*" in findings["job"]["advice"]


def test_check_state_folder_created_by_systemd_is_ok(check, monkeypatch):
    monkeypatch.setattr(folders, "SYSTEM_STATE", Path("/var/lib/no-such-folder-here"))
    findings = check(state="", name="photos")
    assert levels(findings) == {}
    assert findings["state"]["where"] == "state folder /var/lib/no-such-folder-here/syncd-photos"
    assert findings["state"]["what"].startswith("is created by systemd, ")


def test_check_unreadable_file_is_error(check, system_folder):
    for name in "token", "ca.pem":
        (system_folder / name).write_text("secret")
        (system_folder / name).chmod(0o600)
    findings = check(remote=", token_file: token, ca_file: ca.pem")
    assert levels(findings) == {"token_file": "error", "ca_file": "error"}
    assert findings["token_file"]["what"] == "user nobody has no permission to read it"
    assert f"setfacl -m u:nobody:r {system_folder}/token" in findings["token_file"]["advice"]
    (system_folder / "config.yaml").chmod(0o600)
    assert check()["configuration"]["what"] == "user nobody has no permission to read it"


def test_check_unwritable_log_folder_is_error(check, system_folder):
    findings = check(more="logging: {file: log/syncd.log}")
    assert levels(findings) == {"log": "error"}
    assert findings["log"]["what"] == f"user nobody has no permission to write to {system_folder}"
