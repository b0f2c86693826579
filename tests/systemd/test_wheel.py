"""The wheel in a virtual environment, and `syncd service` for the machine and for a user."""

import os
import re

import pytest

from tests.support.wait import wait_until_sync
from tests.systemd import packages
from tests.systemd.harness import CREDENTIAL, POOL, TOKEN, config, drop, set_up

SYNCD = "/opt/syncd/bin/syncd"
PIP = ["/opt/syncd/bin/pip", "install", "--quiet", "--no-index", "--find-links=/root/wheels"]


@pytest.fixture(scope="module", autouse=True)
def _installed(machine, wheels):
    for wheel in wheels.iterdir():
        machine.write(f"/root/wheels/{wheel.name}", wheel.read_bytes())
    machine.do("python3", "-m", "venv", "/opt/syncd")
    machine.do(*PIP, "syncd")
    machine.do("ln", "-s", SYNCD, "/usr/local/bin/syncd")


TOPS = "etc", "opt", "home", "root", "usr/local", "usr/lib/systemd", "var/lib", "var/log", "var/spool"
OTHERS = re.compile(r"/var/(lib/systemd|log/journal)/|/syncd\.db")
"""Paths to which Debian and a running daemon always write."""


def tree(machine):
    """Return the files where an installation writes, with mode, owner, size and time."""
    found = {}
    for top in TOPS:
        for folder, folders, files in os.walk(machine.root / top):
            for path in (os.path.join(folder, name) for name in [*folders, *files]):
                if not OTHERS.search(path):
                    entry = os.lstat(path)
                    found[path] = (entry.st_mode, entry.st_uid, entry.st_size, entry.st_mtime_ns)
    return found


def test_wheel_installs_man_page_and_completions(machine):
    for file in "man/man1/syncd.1", "bash-completion/completions/syncd":
        machine.do("test", "-s", f"/opt/syncd/share/{file}")


def test_install_dry_run_equals_installation(machine):
    machine.do(SYNCD, "--version")
    before = tree(machine)
    would = machine.do(SYNCD, "service", "install", "--system", "--now", "--dry-run")
    assert machine.shown("syncd", "LoadState") == "not-found"
    assert tree(machine) == before
    did = machine.do(SYNCD, "service", "install", "--system", "--now")
    assert did == would.replace("would be ", "").replace(" reloaded", " nothing to do")
    assert "syncd.service: enabled\nsyncd.service: started\n" in did
    assert "nothing to do" not in did.replace("service manager: nothing to do", "")
    again = machine.do(SYNCD, "service", "install", "--system", "--now")
    assert {line.partition(": ")[2] for line in again.splitlines()} == {"nothing to do"}


def test_files_in_inbox_are_uploaded(machine, ports):
    set_up(machine, SYNCD, ports)
    machine.write("/etc/syncd/config.yaml", config(ports), 0o640)
    machine.do("chgrp", "syncd", "/etc/syncd/config.yaml")
    machine.do("systemctl", "restart", "syncd")
    drop(machine, "a.jpg")
    machine.until_done("a.jpg")
    assert "active (running), pid" in machine.do(SYNCD, "service", "status")


def test_instance_runs_next_to_service(machine, ports):
    photos = config(ports, folders=[{"path": "/srv/photos", "remote": "drive"}], control={"dashboard": "off"})
    machine.do("install", "-d", "-m", "0755", "/srv/photos")
    machine.write("/etc/syncd/photos.yaml", photos, 0o640)
    machine.do("chgrp", "syncd", "/etc/syncd/photos.yaml")
    machine.write("/etc/systemd/system/syncd@photos.service.d/token.conf", CREDENTIAL)
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "enable", "--now", "syncd@photos")
    drop(machine, "other.jpg", folder="/srv/photos")
    machine.until_done("other.jpg", options=("-c", "/etc/syncd/photos.yaml"))
    output = machine.do(SYNCD, "service", "status")
    assert [line.split(",")[0] for line in output.splitlines() if "active" in line] == [
        "syncd.service: active (running)",
        "syncd@photos.service: active (running)",
    ]
    again = machine.do(SYNCD, "service", "install", "--system", "--now")
    assert {line.partition(": ")[2] for line in again.splitlines()} == {"nothing to do"}


def test_uninstall_dry_run_changes_nothing(machine):
    before = tree(machine)
    would = machine.do(SYNCD, "service", "uninstall", "--purge", "--dry-run")
    for line in (
        "syncd@photos.service: would be stopped",
        "/var/lib/syncd-photos: would be removed",
        "/etc/syncd: would be removed",
    ):
        assert line in would
    assert tree(machine) == before
    for unit in "syncd", "syncd@photos":
        assert machine.shown(unit, "ActiveState") == "active"


def test_uninstall_keeps_state_until_purge(machine):
    output = machine.do(SYNCD, "service", "uninstall")
    assert "kept: /var/lib/syncd, " in output
    assert machine.shown("syncd", "LoadState") == "not-found"
    assert machine.run(SYNCD, "service", "status").returncode == 3
    for unit in "syncd", "syncd@photos":
        assert machine.shown(unit, "ActiveState") == "inactive"
    for folder in "syncd", "syncd-photos":
        machine.do("test", "-s", f"/var/lib/{folder}/syncd.db")
    machine.do(SYNCD, "service", "uninstall", "--purge")
    for path in (
        "/var/lib/syncd",
        "/var/lib/syncd-photos",
        "/etc/syncd",
        "/etc/systemd/system/syncd@.service",
        "/etc/sysusers.d/syncd.conf",
    ):
        assert machine.run("test", "-e", path).returncode == 1, path
    machine.do("test", "-s", "/var/spool/syncd/a.jpg")
    assert machine.run("id", "syncd").returncode == 1


def test_user_service_uploads(machine, ports):
    machine.do("useradd", "--create-home", "anna")
    without = machine.do(SYNCD, "service", "install", "--user", "--dry-run", user="anna")
    assert "The service runs while you are logged in. To run it always: loginctl enable-linger\n" in without
    machine.do("loginctl", "enable-linger", "anna")
    number = machine.do("id", "-u", "anna").strip()
    own = {"user": "anna", "XDG_RUNTIME_DIR": f"/run/user/{number}"}
    wait_until_sync(
        lambda: machine.run("systemctl", "--user", "is-system-running", **own).stdout == "running\n", "anna's is up"
    )
    refused = machine.run(SYNCD, "service", "install", "--user", "--now", **own)
    assert (refused.returncode, "write it with: syncd init" in refused.stderr) == (78, True)
    machine.do("sh", "-c", f"mkdir ~/inbox; umask 077; echo {TOKEN} > ~/token", **own)
    url = f"http://127.0.0.1:{ports[0]}"
    given = ["--type", "multipart", "--url", url, "--pool-id", POOL, "--token-file", "/home/anna/token"]
    machine.do(SYNCD, "init", "--folder", "/home/anna/inbox", *given, **own)
    machine.do("sed", "-i", f"s/dashboard: .*/dashboard: 127.0.0.1:{ports[1]}/", "/home/anna/.config/syncd/config.yaml")
    assert "enable-linger" not in machine.do(SYNCD, "service", "install", "--user", "--now", **own)
    drop(machine, "mine.jpg", folder="/home/anna/inbox")
    wait_until_sync(lambda: "1 done" in machine.run(SYNCD, "ctl", "status", **own).stdout, "it is done", 60)
    assert "active (running), pid" in machine.do(SYNCD, "service", "status", **own)
    machine.do(SYNCD, "service", "uninstall", "--purge", **own)
    assert machine.run("test", "-e", "/home/anna/.config/syncd").returncode == 1
    machine.do("test", "-s", "/home/anna/inbox/mine.jpg")


def test_upgrade_from_previous_wheel(machine, older, dist, ports):
    wheel = packages.wheel_in(older)
    machine.write(f"/root/older/{wheel.name}", wheel.read_bytes())
    machine.do(*PIP, f"/root/older/{wheel.name}")
    assert machine.do(SYNCD, "--version") == f"syncd {packages.EARLIER}\n"
    machine.do(SYNCD, "service", "install", "--system")
    machine.write("/etc/syncd/config.yaml", config(ports), 0o640)
    machine.do("chgrp", "syncd", "/etc/syncd/config.yaml")
    machine.write("/etc/syncd/drive.token", TOKEN, 0o600)
    machine.do(SYNCD, "service", "install", "--system", "--now")
    drop(machine, "before.jpg")
    machine.until_done("before.jpg")
    machine.do(*PIP, "--upgrade", "syncd")
    newer = packages.version_of(dist)
    assert machine.do(SYNCD, "--version") == f"syncd {newer}\n"
    machine.do(SYNCD, "service", "install", "--system")
    machine.do("systemctl", "restart", "syncd")
    drop(machine, "after.jpg")
    machine.until_done("before.jpg", "after.jpg")
    assert f'"version": "{newer}"' in machine.do(SYNCD, "ctl", "status", "--json")
