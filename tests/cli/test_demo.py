"""``syncd demo``: its folder, its child processes, and two complete runs."""

import contextlib
import os
import signal
import stat
from urllib.request import urlopen

import pytest

from syncd.cli.demo.command import dashboard_line
from syncd.cli.demo.environment import MARKER, set_up
from syncd.cli.errors import CommandError, ExitCode
from tests.support.wait import wait_until_sync


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "demo"


def child_pids(folder):
    """Return the pids of the child processes with ``folder`` on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read()
            if os.fsencode(folder) in line and b"demo\0" not in line.replace(os.fsencode(folder), b""):
                found.append(int(pid))
    return found


def test_set_up_empties_private_folder(folder):
    for _ in range(2):
        with set_up(str(folder)) as environment:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert os.listdir(environment.inbox) == []
            (folder / "inbox" / "old.jpg").write_text("")
            (folder / "link").symlink_to("/")


def test_set_up_removes_links_without_following(folder, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("precious")
    with set_up(str(folder)):
        (folder / "photos").symlink_to(tmp_path / "photos")
    with set_up(str(folder)):
        assert not (folder / "photos").is_symlink()
    assert (tmp_path / "photos" / "a.jpg").read_text() == "precious"


def test_set_up_folder_with_other_files_is_refused(folder):
    folder.mkdir()
    (folder / "a.jpg").write_text("precious")
    with pytest.raises(CommandError, match="use another --dir"), set_up(str(folder)):
        pass
    assert os.listdir(folder) == ["a.jpg"]


def test_set_up_link_as_folder_is_refused(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MARKER).write_text("")
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(CommandError, match="not your folder"), set_up(str(folder)):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="requires root, to change the owner of a folder")
def test_set_up_folder_of_other_user_is_refused(folder):
    folder.mkdir()
    os.chown(folder, 65_534, 65_534)
    with pytest.raises(CommandError, match="not your folder"), set_up(str(folder)):
        pass


def test_set_up_folder_in_use_is_busy(folder):
    with set_up(str(folder)) as environment:
        (folder / "inbox" / "a.jpg").write_text("")
        with pytest.raises(CommandError, match=f"another demo \\(pid {os.getpid()}\\)") as caught, set_up(str(folder)):
            pass
        assert os.listdir(environment.inbox) == ["a.jpg"]
    assert caught.value.code == ExitCode.BUSY


@pytest.mark.e2e
def test_services_receiver_fails_reports_log(folder, tmp_path):
    with set_up(str(folder)) as environment:
        (folder / "received").write_text("in the way")
        with pytest.raises(CommandError, match=r"the receiver failed: .*File exists.*serve\.log"):
            environment.services(0).__enter__()
    assert child_pids(folder) == []


@pytest.mark.e2e
def test_services_end_with_context_or_shutdown(folder):
    with set_up(str(folder)) as environment:
        with environment.services(0):
            assert environment.client.status()["state"] == "running"
            assert len(child_pids(folder)) == 2
            assert not environment.ended()
            environment.client.shutdown()
            wait_until_sync(environment.ended, "the daemon has ended")
            assert len(child_pids(folder)) == 1
        assert child_pids(folder) == []


@pytest.mark.e2e
def test_dashboard_line_has_working_login_address(folder):
    with set_up(str(folder)) as environment, environment.services(0):
        address, _, _ = dashboard_line(environment).partition(" ")
        with urlopen(address) as answer:
            assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")


@pytest.mark.e2e
def test_services_daemon_killed_is_reported(folder):
    with set_up(str(folder)) as environment, environment.services(0):
        os.kill(environment.client.status()["pid"], signal.SIGKILL)
        with pytest.raises(CommandError, match=r"the daemon failed: .*run\.log"):
            wait_until_sync(environment.ended, "the daemon has ended")


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_signal_ends_children(process, folder, number):
    started = process("demo", "--dir", folder)
    wait_until_sync(lambda: len(child_pids(folder)) == 2, "both child processes run")
    wait_until_sync((folder / "inbox" / "largest.bmp").exists, "the largest sample exists")
    started.send_signal(number)
    assert started.wait(60) == {signal.SIGINT: 130, signal.SIGKILL: -9}.get(number, 128 + number)
    wait_until_sync(lambda: not child_pids(folder), "no child process runs")
    assert "daemon.stopping" in (folder / "run.log").read_text()


@pytest.mark.e2e
def test_demo_once_succeeds_twice(process, folder):
    for _ in range(2):
        started = process("demo", "--once", "--dir", folder)
        out, err = started.communicate(timeout=200)
        assert started.returncode == 0, err
        assert "24 files, 61 MiB, are on both remotes, compared byte for byte." in out
    assert child_pids(folder) == []
