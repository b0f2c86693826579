"""The output of commands in a console of Windows and in a pipe."""

import json
import os
import re
import subprocess
import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32security

from syncd.cli import COMMANDS, cli
from tests.support.data import random_bytes
from tests.support.images import KINDS
from tests.support.wait import wait_until_sync
from tests.windows.console import Console
from tests.windows.harness import running, syncd

NAME = "Ж猫 📟.jpg"
"""A name with characters from several code pages of Windows."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Provide one daemon for several tests, because it starts slowly."""
    with running(tmp_path_factory.mktemp("home")) as harness:
        harness.settings["control"] = {"dashboard": "127.0.0.1:0"}
        harness.start()
        yield harness


def dropped(harness, name=NAME, data=KINDS["jpg"]):
    (harness.inbox / name).write_bytes(data)
    assert harness.arrived(name)


def test_ctl_watch_ends_with_q(home):
    done = home.client.status()["jobs"]["done"]
    with Console("ctl", "-c", home.config, "watch") as console:
        wait_until_sync(lambda: console.shows("syncd running"), lambda: console.raw)
        dropped(home, "new.jpg")
        wait_until_sync(lambda: console.shows(f"{done + 1} done"), lambda: console.raw)
        assert b"\x1b[32m" in console.raw  # it has colours
        console.press(b"q")
        assert console.wait(30) == 0


def test_ctl_watch_in_pipe_prints_lines_across_restart(harness):
    harness.start()
    out = harness.base / "watched"
    with out.open("wb") as stdout:
        watching = subprocess.Popen(
            [sys.executable, "-m", "syncd", "ctl", "-c", harness.config, "watch"], stdin=-3, stdout=stdout
        )
    try:
        wait_until_sync(lambda: "syncd is running" in out.read_text("utf-8"), out.read_text)
        dropped(harness)
        wait_until_sync(lambda: f"done      drive {harness.inbox}\\{NAME}" in out.read_text("utf-8"), out.read_text)
        harness.stop()
        wait_until_sync(lambda: "the daemon is not reachable; waiting for it" in out.read_text("utf-8"), out.read_text)
        harness.start()
        wait_until_sync(lambda: out.read_text("utf-8").count("syncd is running") == 2, out.read_text)
    finally:
        watching.kill()
        watching.wait()
    assert "\x1b" not in out.read_text("utf-8")


def test_redirected_output_is_utf_8(home):
    dropped(home)

    assert NAME in home.ctl("jobs").stdout
    listed = json.loads(home.ctl("jobs", "--json").stdout)["jobs"]
    assert str(home.inbox / NAME) in [job["path"] for job in listed]
    logged = [json.loads(line) for line in home.ctl("logs", "--json").stdout.splitlines()]
    assert NAME in [event.get("path") for event in logged if event["event"] == "job.done"]


def test_ctl_finds_file_by_path(home):
    dropped(home)
    path = home.inbox / NAME
    assert f"{path}\n" in home.ctl("show", str(path).replace("inbox", "INBOX")).stdout
    assert home.ctl("stop").returncode == 0
    (home.inbox / "b.jpg").write_bytes(b"later")
    wait_until_sync(lambda: home.states().get("b.jpg") == "queued", home.states)
    assert home.ctl("cancel", str(home.inbox / "b.jpg")).stdout == "1 job cancelled\n"
    assert home.ctl("retry", str(home.inbox / "b.jpg")).stdout == "1 job queued again\n"
    assert home.ctl("rescan", str(home.inbox)).stdout == "scanning\n"
    assert home.ctl("start").returncode == 0
    assert home.arrived("b.jpg")


def test_ctl_log_follows_until_shutdown(harness):
    harness.start()
    with syncd(harness.base / "followed", "ctl", "-c", harness.config, "logs", "-f", "--event", "job.") as following:
        dropped(harness, "a.jpg")
        wait_until_sync(lambda: "job.done" in following.stdout.readline(), "the event")
        harness.stop()
        assert following.wait(30) == 3
    assert "the daemon has ended" in (harness.base / "followed").read_text()


def test_once_shows_progress_on_console(harness):
    (harness.inbox / NAME).write_bytes(random_bytes(3_000_000))
    with Console("once", "-c", harness.config) as console:
        assert console.wait(60) == 0
        wait_until_sync(lambda: console.shows("1 uploaded; 2.9 MiB sent"), lambda: console.raw)
    assert console.shows("%")  # the console may write only the changed digits of the rest


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help(name, capsys):
    cli.main([name, "--help"], prog_name="syncd", standalone_mode=False)
    assert capsys.readouterr().out.startswith(f"Usage: syncd {name}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell, capsys):
    cli.main(["completion", shell], prog_name="syncd", standalone_mode=False)
    assert "_SYNCD_COMPLETE" in capsys.readouterr().out


def test_ctl_open_writes_private_page(home):
    called, program = home.base / "called", home.base / "browser.py"
    program.write_text(f"import sys; open({str(called)!r}, 'w').write(' '.join(sys.argv[1:]))")
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "ctl", "-c", home.config, "open"],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "BROWSER": f"{sys.executable} {program} %s".replace("\\", "/"),
            "LOCALAPPDATA": str(home.base),
            "WIN_PD_OVERRIDE_LOCAL_APPDATA": str(home.base),
        },
    )
    assert done.returncode == 0, done.stderr
    page = home.base / "syncd" / "open.html"
    assert called.read_text() == page.as_uri()
    url = re.search(r'content="0; url=(.*)"', page.read_text())[1]
    assert url.startswith("http://127.0.0.1:")
    assert "ticket=" in url
    assert url not in done.stdout + done.stderr
    owners = win32security.GetFileSecurity(str(page), win32security.DACL_SECURITY_INFORMATION)
    entries = owners.GetSecurityDescriptorDacl()
    who = {win32security.ConvertSidToStringSid(entries.GetAce(at)[2]) for at in range(entries.GetAceCount())}
    assert not who & {"S-1-1-0", "S-1-5-11", "S-1-5-32-545"}  # Everyone, authenticated users, Users
