"""The wheel in a virtual environment, and `syncd service` for the machine and for a user."""

import pytest

from tests.e2e.processes import until
from tests.systemd.site import POOL, TOKEN, config, drop, set_up

SYNCD = "/opt/syncd/bin/syncd"


@pytest.fixture(scope="module", autouse=True)
def _installed(machine, wheels):
    for wheel in wheels.iterdir():
        machine.write(f"/root/wheels/{wheel.name}", wheel.read_bytes())
    machine.do("python3", "-m", "venv", "/opt/syncd")
    machine.do("/opt/syncd/bin/pip", "install", "--quiet", "--no-index", "--find-links=/root/wheels", "syncd")
    machine.do("ln", "-s", SYNCD, "/usr/local/bin/syncd")


def test_the_wheel_brings_its_man_page_and_completions(machine):
    for file in "man/man1/syncd.1", "bash-completion/completions/syncd":
        machine.do("test", "-s", f"/opt/syncd/share/{file}")


def test_a_dry_run_says_what_the_installation_does(machine):
    would = machine.do(SYNCD, "service", "install", "--system", "--now", "--dry-run")
    assert machine.shown("syncd", "LoadState") == "not-found"
    did = machine.do(SYNCD, "service", "install", "--system", "--now")
    assert did == would.replace("would be ", "").replace(" told of the new units", " nothing to do")
    assert "syncd.service: enabled\nsyncd.service: started\n" in did
    assert "nothing to do" not in did.replace("service manager: nothing to do", "")
    again = machine.do(SYNCD, "service", "install", "--system", "--now")
    assert {line.partition(": ")[2] for line in again.splitlines()} == {"nothing to do"}


def test_files_arrive(machine, ports):
    set_up(machine, SYNCD, ports)
    machine.write("/etc/syncd/config.yaml", config(ports), 0o640)
    machine.do("chgrp", "syncd", "/etc/syncd/config.yaml")
    machine.do("systemctl", "restart", "syncd")
    drop(machine, "a.jpg")
    machine.until_done("a.jpg")
    assert "active (running), pid" in machine.do(SYNCD, "service", "status")


def test_uninstall(machine):
    said = machine.do(SYNCD, "service", "uninstall")
    assert "kept: /var/lib/syncd, " in said
    assert machine.shown("syncd", "LoadState") == "not-found"
    assert machine.run(SYNCD, "service", "status").returncode == 3
    machine.do("test", "-s", "/var/lib/syncd/syncd.db")
    machine.do(SYNCD, "service", "uninstall", "--purge")
    for path in "/var/lib/syncd", "/etc/syncd", "/etc/systemd/system/syncd@.service", "/etc/sysusers.d/syncd.conf":
        assert machine.run("test", "-e", path).returncode == 1, path
    machine.do("test", "-s", "/var/spool/syncd/a.jpg")
    assert machine.run("id", "syncd").returncode == 1


def test_a_service_of_a_user(machine, ports):
    machine.do("useradd", "--create-home", "anna")
    machine.do("loginctl", "enable-linger", "anna")
    number = machine.do("id", "-u", "anna").strip()
    own = {"user": "anna", "XDG_RUNTIME_DIR": f"/run/user/{number}"}
    until(lambda: machine.run("systemctl", "--user", "is-system-running", **own).stdout == "running\n", "anna's is up")
    refused = machine.run(SYNCD, "service", "install", "--user", "--now", **own)
    assert (refused.returncode, "write it with syncd init" in refused.stderr) == (78, True)
    machine.do("sh", "-c", f"mkdir ~/inbox; umask 077; echo {TOKEN} > ~/token", **own)
    url = f"http://127.0.0.1:{ports[0]}"
    given = ["--type", "multipart", "--url", url, "--pool-id", POOL, "--token-file", "/home/anna/token"]
    machine.do(SYNCD, "init", "--folder", "/home/anna/inbox", *given, **own)
    machine.do("sed", "-i", f"s/dashboard: .*/dashboard: 127.0.0.1:{ports[1]}/", "/home/anna/.config/syncd/config.yaml")
    machine.do(SYNCD, "service", "install", "--user", "--now", **own)
    drop(machine, "mine.jpg", folder="/home/anna/inbox")
    until(lambda: "1 done" in machine.run(SYNCD, "ctl", "status", **own).stdout, "it is done", 60)
    assert "active (running), pid" in machine.do(SYNCD, "service", "status", **own)
    machine.do(SYNCD, "service", "uninstall", "--purge", **own)
    assert machine.run("test", "-e", "/home/anna/.config/syncd").returncode == 1
    machine.do("test", "-s", "/home/anna/inbox/mine.jpg")
