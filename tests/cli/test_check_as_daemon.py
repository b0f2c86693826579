"""``syncd check`` of the system's configuration: the rights of the daemon's user, and what its unit lets it see."""

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

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")

USER = "nobody"


@pytest.fixture
def site(monkeypatch):
    """A folder that everybody sees, with the system's configuration and a watched folder in it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        os.chmod(top, 0o755)
        site = Path(top)
        (site / "inbox").mkdir(mode=0o755)
        (site / "state").mkdir()
        shutil.chown(site / "state", USER)
        monkeypatch.setattr(paths, "SYSTEM_CONFIG", site / "config.yaml")
        monkeypatch.setattr(runner, "USER", USER)
        monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings={}))
        yield site


@pytest.fixture
def found(syncd, site, closed_port):
    """Run check for a configuration with these settings; return the findings but the server's, by their first word."""

    def run_check(
        *, path="inbox", folder="", remote="", control="", state="state_dir: state", more="", name="config", asks="root"
    ):
        file = site / f"{name}.yaml"
        file.write_text(
            f"""
folders: [{{path: {path}, remote: drive{folder}}}]
remotes: {{drive: {{type: image, url: "http://127.0.0.1:{closed_port}"{remote}}}}}
control: {{socket: {site}/c.sock, dashboard: off{control}}}
{state}
{more}
"""
        )
        with user.rights_of(asks) if asks != "root" else nullcontext():
            document = json.loads(syncd("check", "-c", file, "--json").out)
        assert (os.geteuid(), os.getegid()) == (0, 0)
        seen = {finding["where"].partition(" ")[0]: finding for finding in document["findings"]}
        assert seen.pop("remote")["level"] == "error"
        return seen

    return run_check


def levels(seen):
    return {where: finding["level"] for where, finding in seen.items() if finding["level"] != "ok"}


def test_all_is_well_with_the_rights_of_the_user(found):
    seen = found()
    assert levels(seen) == {}
    assert seen["user"]["where"] == "user nobody"
    assert seen["control"]["what"] == "for root and nobody"
    assert seen["daemon"]["advice"] == "start it with: sudo systemctl enable --now syncd"


def test_a_user_that_is_not_there_yet(found, monkeypatch):
    monkeypatch.setattr(runner, "USER", "no-such-user")
    seen = found()
    assert levels(seen) == {"user": "warn"}
    assert "sudo syncd service install" in seen["user"]["advice"]


def test_somebody_else_learns_that_only_root_can_look(found, site):
    seen = found(asks="daemon")
    assert levels(seen) == {"user": "warn"}
    assert seen["user"]["advice"] == f"sudo syncd check -c {site}/config.yaml"
    assert not {"folder", "state"} & set(seen)


def test_a_folder_behind_one_that_is_closed(found, site):
    (site / "closed" / "inbox").mkdir(parents=True)
    (site / "closed").chmod(0o700)
    seen = found(path="closed/inbox")
    assert (seen["folder"]["level"], seen["folder"]["what"]) == ("error", "permission denied")
    assert seen["folder"]["advice"] == f"give user nobody access: sudo setfacl -m u:nobody:rx {site}/closed"


def test_a_folder_within_that_is_closed(found, site):
    for name in "ab":
        (site / "inbox" / name).mkdir(mode=0o700)
    seen = found()
    assert levels(seen) == {"folder": "warn"}
    assert seen["folder"]["what"].startswith(f"cannot read 2 folders in it, such as {site}/inbox/")


@pytest.mark.parametrize("after", ["delete", "{move: sent/now}"])
def test_files_that_could_not_be_deleted_or_moved(found, site, after):
    where = site / ("inbox" if after == "delete" else "")
    shutil.chown(site / "inbox", USER)
    shutil.chown(where, "root")
    seen = found(folder=f", after_upload: {after}")
    assert levels(seen) == {"after_upload": "error"}
    assert seen["after_upload"]["what"] == f"user nobody has no permission to change {where}"
    shutil.chown(where, USER)
    assert levels(found(folder=f", after_upload: {after}")) == {}


def test_a_sandbox_that_lets_nothing_be_changed(found, site, monkeypatch):
    shutil.chown(site / "inbox", USER)
    settings = {"ProtectSystem": "strict", "ReadWritePaths": "/elsewhere"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert levels(found()) == {}
    advice = found(folder=", after_upload: delete")["after_upload"]["advice"]
    assert advice == f"run systemctl edit syncd and add: [Service] ReadWritePaths={site}/inbox"
    settings["ReadWritePaths"] += f" -{site}"
    assert levels(found(folder=", after_upload: delete")) == {}


def test_a_folder_that_the_sandbox_hides(found, site, monkeypatch):
    monkeypatch.setattr(unit, "_HOMES", (str(site),))
    monkeypatch.setattr(unit, "_TEMPORARY", ())
    settings = {"ProtectHome": "yes"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert "ProtectHome=read-only" in found()["sandbox"]["advice"]
    settings["BindReadOnlyPaths"] = f"{site}/inbox:{site}/inbox:rbind"
    assert "sandbox" not in found()


def test_a_group_of_the_unit_counts(found, site, monkeypatch):
    os.chown(site / "inbox", 0, grp.getgrnam("daemon").gr_gid)
    (site / "inbox").chmod(0o750)
    assert levels(found()) == {"folder": "error"}
    settings = {"SupplementaryGroups": "daemon"}
    monkeypatch.setattr(runner, "sandbox_of", lambda _path: Sandbox(unit="syncd", settings=settings))
    assert levels(found()) == {}


def test_a_group_of_the_socket_that_the_user_is_not_in(found):
    seen = found(control=", group: daemon")
    assert levels(seen) == {"control": "error"}
    assert seen["control"]["what"] == "user nobody is not a member of the socket's group daemon"
    assert levels(found(control=", group: nogroup")) == {}


def test_a_state_folder_of_somebody_else(found, site):
    shutil.chown(site / "state", "root")
    (site / "state").chmod(0o755)
    seen = found()
    assert levels(seen) == {"state": "error"}
    assert seen["state"]["advice"].startswith(f"sudo setfacl -m u:nobody:rwx {site}/state")


def test_a_store_that_root_has_made(found, site):
    (site / "state" / "syncd.db").touch(0o600)
    seen = found()
    assert levels(seen) == {"job": "error"}
    assert f"sudo chown nobody: {site}/state/syncd.db*" in seen["job"]["advice"]


def test_the_state_folder_that_systemd_will_make(found, monkeypatch):
    monkeypatch.setattr(folders, "SYSTEM_STATE", Path("/var/lib/no-such-folder-here"))
    seen = found(state="", name="photos")
    assert levels(seen) == {}
    assert seen["state"]["where"] == "state folder /var/lib/no-such-folder-here/syncd-photos"
    assert seen["state"]["what"].startswith("is created by systemd, ")


def test_files_that_the_user_may_not_read(found, site):
    for name in "token", "ca.pem":
        (site / name).write_text("secret")
        (site / name).chmod(0o600)
    seen = found(remote=", token_file: token, ca_file: ca.pem")
    assert levels(seen) == {"token_file": "error", "ca_file": "error"}
    assert seen["token_file"]["what"] == "user nobody has no permission to read it"
    assert f"setfacl -m u:nobody:r {site}/token" in seen["token_file"]["advice"]
    (site / "config.yaml").chmod(0o600)
    assert found()["configuration"]["what"] == "user nobody has no permission to read it"


def test_a_log_file_where_the_user_may_not_write(found, site):
    seen = found(more="logging: {file: log/syncd.log}")
    assert levels(seen) == {"log": "error"}
    assert seen["log"]["what"] == f"user nobody has no permission to write to {site}"
