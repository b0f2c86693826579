"""The Debian package from its installation to its purge, on one machine."""

import io
import json
import re
import shutil
import time

import pytest
from PIL import Image

from tests.support.wait import wait_until_sync
from tests.systemd import packages
from tests.systemd.conftest import fetched
from tests.systemd.harness import CREDENTIAL, config, drop, install, set_up

ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect("/run/syncd/control.sock")
    asking.sendall(b"GET %b HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" % sys.argv[1].encode())
    raw = b"".join(iter(lambda: asking.recv(65536), b""))
print(raw.partition(b"\\r\\n\\r\\n")[0].decode())
"""
"""Prints the head of the answer to a GET."""
CONFIG = "/etc/syncd/config.yaml"
PHOTOS = "/etc/syncd/photos.yaml"


def pid(machine, unit="syncd"):
    return int(machine.shown(unit, "MainPID"))


def until_back(machine, old, unit="syncd"):
    """Wait until a process other than ``old`` is ready."""
    wait_until_sync(
        lambda: machine.shown(unit, "ActiveState") == "active" and pid(machine, unit) not in (0, old),
        lambda: f"it is back:\n{machine.journal('-n', '30')}",
        90,
    )


def status(machine, *options):
    return json.loads(machine.do("syncd", "ctl", *options, "status", "--json"))


def write_config(machine, ports, **changes):
    machine.write(CONFIG, config(ports, **changes), 0o640)
    machine.do("chgrp", "syncd", CONFIG)


def test_lintian_accepts_package(dist):
    fetched(packages.install, {"lintian": "lintian"})
    (package,) = dist.glob("*.deb")
    assert packages.call("lintian", "--fail-on", "error,warning", "--allow-root", package) == ""


def test_install_creates_configuration_and_folders(machine, dist):
    output = install(machine, dist)
    assert "Next: edit /etc/syncd/config.yaml" in output
    assert machine.shown("syncd", "ActiveState") == "inactive"
    for path, mode in (
        (CONFIG, "640 root syncd"),
        ("/etc/syncd", "750 root syncd"),
        ("/var/spool/syncd", "2770 syncd syncd"),
    ):
        assert machine.do("stat", "--format=%a %U %G", path).strip() == mode
    assert "syncd" in machine.do("syncd", "--version")
    assert machine.do("dpkg", "--verify", "syncd") == ""
    for file in "man/man1/syncd.1.gz", "bash-completion/completions/syncd", "zsh/vendor-completions/_syncd":
        machine.do("test", "-s", f"/usr/share/{file}")


def test_start_is_ready_and_lists_status(machine, ports):
    set_up(machine, "/usr/bin/syncd", ports)
    write_config(machine, ports)
    assert "user syncd: " in machine.do("syncd", "check", "-c", CONFIG)
    machine.do("systemctl", "enable", "syncd")
    begun = time.monotonic()
    machine.do("systemctl", "start", "syncd")
    print(f"\nfrom systemctl start to ready: {time.monotonic() - begun:.2f} s")
    assert machine.shown("syncd", "User") == "syncd"
    assert "watching 1 folder" in machine.shown("syncd", "StatusText")
    score = machine.do("systemd-analyze", "security", "--threshold=20", "--no-pager", "syncd").splitlines()[-1]
    print(score)
    assert machine.do("cat", f"/proc/{pid(machine)}/oom_score_adj").strip() == "200"
    for limit in "MemoryMax", "TasksMax", "LimitNOFILE":
        assert machine.shown("syncd", limit).isdecimal(), limit


def test_systemd_analyze_verify_accepts_units(machine):
    machine.write("/etc/syncd/verified.yaml", config((1, 1)))
    for scope, units in {"--system": ["syncd.service", "syncd@verified.service"], "--user": ["syncd.service"]}.items():
        folder = "/usr/lib/systemd/system" if scope == "--system" else "/usr/lib/systemd/user"
        paths = [f"{folder}/{unit}" for unit in units]
        machine.do("install", "-d", "/run/user/0")
        verified = machine.run("systemd-analyze", scope, "--man=no", "verify", *paths, XDG_RUNTIME_DIR="/run/user/0")
        assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    machine.do("rm", "/etc/syncd/verified.yaml")


def test_files_in_inbox_are_uploaded(machine):
    machine.do("useradd", "--create-home", "--groups", "syncd", "anna")
    machine.do("useradd", "--create-home", "otto")
    drop(machine, "a.jpg", "b.png")
    machine.do("sh", "-c", "umask 027; head -c 9MiB /dev/urandom > /var/spool/syncd/of-anna.jpg", user="anna")
    machine.until_done("a.jpg", "b.png", "of-anna.jpg")
    report = machine.do("syncd", "verify", "-c", CONFIG, "--json")
    assert '"intact": 3' in report


def test_receiver_service_keeps_names(machine):
    """The service starts in its sandbox and links each file under its name."""
    machine.write("/etc/syncd/receiver.token", "9f86d081884c7d659a2feaa0c55ad015", 0o600)
    machine.do("systemctl", "start", "syncd-receiver")
    assert machine.shown("syncd-receiver", "User") == "syncd-receiver"
    remote = "{type: multipart, url: 'http://127.0.0.1:4444', token_file: /etc/syncd/receiver.token}"
    machine.write(
        "/root/sender.yaml",
        f"state_dir: /root/sender\nfolders: [{{path: /root/pictures, remote: r}}]\nremotes: {{r: {remote}}}\n",
        0o600,
    )
    machine.do("sh", "-c", "mkdir /root/pictures; head -c 3MiB /dev/urandom > /root/pictures/moon.jpg")
    machine.do("syncd", "once", "-c", "/root/sender.yaml")
    machine.do("cmp", "/root/pictures/moon.jpg", "/var/lib/syncd_receiver/names/moon.jpg")
    machine.do("systemd-analyze", "security", "--threshold=15", "--no-pager", "syncd-receiver")
    machine.do("systemctl", "stop", "syncd-receiver")


def test_sandbox_allows_previews(machine):
    picture = io.BytesIO()
    Image.new("RGB", (1000, 500), "teal").save(picture, "PNG")
    machine.write("/var/spool/syncd/teal.png", picture.getvalue())
    machine.until_done("teal.png")
    job = machine.jobs()["teal.png"]["id"]
    head = machine.do("/usr/lib/syncd/bin/python3", "-c", ASK, f"/v1/preview?job={job}&size=320")
    assert " 200 " in head
    assert "image/webp" in head


def test_socket_admits_root_and_group_only(machine):
    assert "4 done" in machine.do("syncd", "ctl", "status")
    assert "4 done" in machine.do("syncd", "ctl", "status", user="anna")
    refused = machine.run("syncd", "ctl", "--socket", "/run/syncd/control.sock", "status", user="otto")
    assert (refused.returncode, refused.stdout) == (77, "")
    assert refused.stderr.startswith("syncd: no permission for /run/syncd/control.sock")
    assert "active (running)" in machine.do("syncd", "service", "status", "--system", user="otto")


def test_check_uses_rights_of_daemon(machine):
    seen = machine.do("syncd", "check", "-c", CONFIG)
    for line in "ok     user syncd: ", "folder /var/spool/syncd: can be read", "accepts the token", "MiB/s upload":
        assert line in seen
    for asks, code, text in (
        (
            "syncd",
            1,
            "/etc/syncd/drive.token: permission denied — run with sudo: systemd passes the file to the service",
        ),
        ("otto", 1, f"{CONFIG}: permission denied — run with sudo, join its group (sudo usermod -aG syncd otto"),
    ):
        ended = machine.run("syncd", "check", "-c", CONFIG, user=asks)
        assert (ended.returncode, text in ended.stdout) == (code, True), ended.stdout + ended.stderr
    refused = machine.run("syncd", "ctl", "status", user="otto")
    assert (refused.returncode, refused.stderr.startswith(f"syncd: {CONFIG}: permission denied")) == (77, True)


def test_journal_has_priorities_and_fields(machine):
    (entry,) = [entry for entry in machine.entries("job.done") if entry["SYNCD_PATH"] == "a.jpg"]
    assert (entry["PRIORITY"], entry["SYNCD_REMOTE"], entry["SYSLOG_IDENTIFIER"]) == ("6", "drive", "syncd")
    assert entry["_SYSTEMD_UNIT"] == "syncd.service"
    assert "a-token" not in machine.journal()


def test_reload_applies_configuration(machine, ports):
    old = pid(machine)
    write_config(machine, ports, scheduler={"bandwidth": "50MiB/s"})
    machine.do("systemctl", "reload", "syncd")
    assert "scheduler.bandwidth" in machine.entries("daemon.reloaded")[-1]["SYNCD_CHANGES"]
    assert (pid(machine), machine.shown("syncd", "ActiveState")) == (old, "active")
    machine.write(CONFIG, "nonsense: 1\n")
    assert machine.run("systemctl", "reload", "syncd").returncode == 1
    assert (pid(machine), machine.shown("syncd", "ActiveState")) == (old, "active")
    write_config(machine, ports)


def test_killed_daemon_restarts(machine):
    old = pid(machine)
    machine.do("sh", "-c", f"kill -9 {old}")
    drop(machine, "after-the-kill.jpg")
    until_back(machine, old)
    machine.until_done("after-the-kill.jpg")


def test_watchdog_restarts_frozen_daemon(machine):
    drop_in = "/run/systemd/system/syncd.service.d/soon.conf"
    machine.do("mkdir", "-p", "/run/systemd/system/syncd.service.d")
    machine.do("sh", "-c", f"printf '[Service]\\nWatchdogSec=3\\nTimeoutAbortSec=1\\n' > {drop_in}")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "restart", "syncd")
    old = pid(machine)
    machine.do("sh", "-c", f"kill -STOP {old}")
    drop(machine, "while-frozen.jpg")
    until_back(machine, old)
    assert "Watchdog timeout" in machine.journal()
    machine.until_done("while-frozen.jpg")
    machine.do("rm", drop_in)
    machine.do("systemctl", "daemon-reload")


def test_file_added_while_off_is_uploaded_after_boot(machine):
    machine.power_off()
    drop(machine, "while-off.jpg")
    machine.boot()
    machine.until_done("while-off.jpg")


def test_instance_runs_next_to_service(machine, ports):
    machine.do("install", "-d", "-m", "0755", "/srv/photos")
    folders = [{"path": "/srv/photos", "remote": "drive"}]
    photos = config(ports, folders=folders, control={"group": "syncd", "dashboard": "off"})
    machine.write(PHOTOS, photos, 0o640)
    machine.do("chgrp", "syncd", PHOTOS)
    machine.write("/etc/systemd/system/syncd@photos.service.d/token.conf", CREDENTIAL)
    machine.do("systemctl", "daemon-reload")
    before = machine.do("syncd", "check", "-c", PHOTOS)
    assert "is created by systemd" in before
    assert "start it with: sudo systemctl enable --now syncd@photos" in before
    machine.do("systemctl", "enable", "--now", "syncd@photos")
    drop(machine, "other.jpg", folder="/srv/photos")
    machine.until_done("other.jpg", options=("-c", PHOTOS))
    assert "1 done" in machine.do("syncd", "ctl", "-c", PHOTOS, "status", user="anna")
    assert "syncd@photos.service: active (running)" in machine.do("syncd", "service", "status")
    others = pid(machine)
    machine.do("systemctl", "reload", "syncd@photos")
    assert pid(machine) == others
    both = [status(machine)["pid"], status(machine, "-c", PHOTOS)["pid"]]
    assert both == [others, pid(machine, "syncd@photos")]


def test_advice_of_check_makes_home_folder_visible(machine, ports):
    machine.do("chmod", "711", "/home/otto")
    machine.do("install", "-d", "-m", "0755", "/home/otto/Pictures")
    folders = [{"path": "/home/otto/Pictures", "remote": "drive"}]
    machine.write(PHOTOS, config(ports, folders=folders, control={"dashboard": "off"}), 0o640)
    refused = machine.run("syncd", "check", "-c", PHOTOS)
    assert refused.returncode == 1
    assert "sandbox of /home/otto/Pictures: the service's sandbox hides this folder" in refused.stdout
    assert "run systemctl edit syncd@photos and add: [Service] ProtectHome=read-only" in refused.stdout
    machine.write("/etc/systemd/system/syncd@photos.service.d/home.conf", "[Service]\nProtectHome=read-only\n")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "restart", "syncd@photos")
    machine.do("syncd", "check", "-c", PHOTOS)
    drop(machine, "at-home.jpg", folder="/home/otto/Pictures")
    machine.until_done("at-home.jpg", options=("-c", PHOTOS))


def test_remove_keeps_state_and_purge_keeps_spool(machine):
    machine.do("dpkg", "--remove", "syncd")
    assert machine.shown("syncd", "LoadState") == "not-found"
    assert machine.shown("syncd@photos", "ActiveState") == "inactive"
    for path in "/var/lib/syncd/syncd.db", "/var/lib/syncd-photos/syncd.db", CONFIG:
        machine.do("test", "-s", path)
    machine.do("dpkg", "--purge", "syncd")
    left = machine.do("find", "/", "-xdev", "-name", "syncd*", "-not", "-path", "/proc/*", "-not", "-path", "/root/*")
    there = {path for path in left.split() if not path.startswith(("/etc/systemd/", "/run/", "/sys/"))}
    assert there == {"/var/spool/syncd", "/var/lib/syncd_receiver"}
    for path in "/var/spool/syncd/a.jpg", "/var/lib/syncd_receiver/names/moon.jpg":
        machine.do("test", "-s", path)
    assert machine.run("id", "syncd").returncode == 1


def test_upgrade_from_previous_package(machine, older, dist, ports):
    install(machine, older)
    write_config(machine, ports)
    machine.write("/etc/syncd/drive.token", (machine.root / "srv/receiver.token").read_bytes(), 0o600)
    machine.do("systemctl", "start", "syncd")
    drop(machine, "before.jpg")
    machine.until_done("before.jpg")
    assert status(machine)["version"] == packages.EARLIER
    old = pid(machine)
    output = install(machine, dist)
    newer = packages.version_of(dist)
    versions = [re.escape(version) + r"(\+py3\.11)?" for version in (newer.replace(".dev", "~dev"), packages.EARLIER)]
    assert re.search(r"Unpacking syncd \({}\) over \({}\)".format(*versions), output)
    until_back(machine, old)
    assert status(machine)["version"] == newer
    drop(machine, "after.jpg")
    machine.until_done("before.jpg", "after.jpg")


def test_upgrade_migrates_earlier_store_schema(machine, ports):
    """The earlier code creates the store, with today's libraries."""
    source = packages.before_the_newest_schema()
    if source is None:
        pytest.skip("the history does not go back so far")
    machine.do("systemctl", "stop", "syncd")
    machine.do("sh", "-c", "rm -r /var/lib/syncd/*; install -d -o syncd -m 0700 /srv/then /srv/then/credentials")
    machine.do("install", "-o", "syncd", "-m", "0400", "/srv/receiver.token", "/srv/then/credentials/drive.token")
    shutil.copytree(source / "syncd", machine.root / "srv/code/syncd")
    old = {"STATE_DIRECTORY": "/var/lib/syncd", "CREDENTIALS_DIRECTORY": "/srv/then/credentials"}
    write_config(machine, ports, control={"dashboard": "off"})
    once = "import sys; sys.path.insert(0, '/srv/code'); from syncd.cli import main; main()"
    drop(machine, "then.jpg")
    machine.do("/usr/lib/syncd/bin/python3", "-c", once, "once", "-c", CONFIG, user="syncd", **old)
    before = machine.do("find", "/var/lib/syncd", "-name", "*.db*").split()
    assert before == ["/var/lib/syncd/syncd.db"]
    write_config(machine, ports, logging={"each_file": True})
    machine.do("systemctl", "start", "syncd")
    drop(machine, "now.jpg")
    machine.until_done("then.jpg", "now.jpg")
    (copy,) = machine.do("find", "/var/lib/syncd", "-name", "syncd.db.before-*").split()
    assert machine.do("stat", "--format=%a %U", copy).strip() == "600 syncd"
    uploaded = [entry["SYNCD_PATH"] for entry in machine.entries("job.done")]
    # The daemon does not ask for known contents again.
    assert (uploaded.count("then.jpg"), uploaded.count("now.jpg")) == (0, 1)
    machine.do("dpkg", "--purge", "syncd")
