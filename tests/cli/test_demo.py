"""The demonstration: whose folder it empties, that its children end, and that it works twice in a row."""

import contextlib
import os
import signal
import stat
import time
from urllib.request import urlopen

import pytest

from syncd.cli.demo.command import dashboard_line
from syncd.cli.demo.environment import MARKER, set_up
from syncd.cli.errors import CommandError, ExitCode


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "demo"


def children_of(folder):
    """The pids of processes that were started with something in ``folder`` on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read()
            if os.fsencode(folder) in line and b"demo\0" not in line.replace(os.fsencode(folder), b""):
                found.append(int(pid))
    return found


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return value


def test_its_folder_is_private_and_emptied_each_time(folder):
    for _ in range(2):
        with set_up(str(folder)) as environment:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert os.listdir(environment.inbox) == []
            (folder / "inbox" / "old.jpg").write_text("")
            (folder / "link").symlink_to("/")


def test_a_link_in_it_is_removed_and_not_followed(folder, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("precious")
    with set_up(str(folder)):
        (folder / "photos").symlink_to(tmp_path / "photos")
    with set_up(str(folder)):
        assert not (folder / "photos").is_symlink()
    assert (tmp_path / "photos" / "a.jpg").read_text() == "precious"


def test_a_folder_with_files_of_others_is_left_alone(folder):
    folder.mkdir()
    (folder / "a.jpg").write_text("precious")
    with pytest.raises(CommandError, match="use another --dir"), set_up(str(folder)):
        pass
    assert os.listdir(folder) == ["a.jpg"]


def test_a_link_in_its_place_is_not_followed(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MARKER).write_text("")
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(CommandError, match="not your folder"), set_up(str(folder)):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_somebody_else_is_not_used(folder):
    folder.mkdir()
    os.chown(folder, 65_534, 65_534)
    with pytest.raises(CommandError, match="not your folder"), set_up(str(folder)):
        pass


def test_a_second_demo_in_the_same_folder_waits_its_turn(folder):
    with set_up(str(folder)) as environment:
        (folder / "inbox" / "a.jpg").write_text("")
        with pytest.raises(CommandError, match=f"another demo \\(pid {os.getpid()}\\)") as caught, set_up(str(folder)):
            pass
        assert os.listdir(environment.inbox) == ["a.jpg"]
    assert caught.value.code == ExitCode.BUSY


@pytest.mark.e2e
def test_a_child_that_does_not_come_up_says_why(folder, tmp_path):
    with set_up(str(folder)) as environment:
        (folder / "received").write_text("in the way")
        with pytest.raises(CommandError, match=r"the receiver failed: .*File exists.*serve\.log"):
            environment.services(0).__enter__()
    assert children_of(folder) == []


@pytest.mark.e2e
def test_children_are_up_and_end_with_it_and_a_shutdown_is_noticed(folder):
    with set_up(str(folder)) as environment:
        with environment.services(0):
            assert environment.client.status()["state"] == "running"
            assert len(children_of(folder)) == 2
            assert not environment.ended()
            environment.client.shutdown()
            wait_for(environment.ended)
            assert len(children_of(folder)) == 1
        assert children_of(folder) == []


@pytest.mark.e2e
def test_its_dashboard_is_open_to_who_reads_where_it_is(folder):
    with set_up(str(folder)) as environment, environment.services(0):
        address, _, _ = dashboard_line(environment).partition(" ")
        with urlopen(address) as answer:
            assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")


@pytest.mark.e2e
def test_the_death_of_the_daemon_is_noticed(folder):
    with set_up(str(folder)) as environment, environment.services(0):
        os.kill(environment.client.status()["pid"], signal.SIGKILL)
        with pytest.raises(CommandError, match=r"the daemon failed: .*run\.log"):
            wait_for(environment.ended)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_however_the_demo_ends(process, folder, number):
    started = process("demo", "--dir", folder)
    wait_for(lambda: len(children_of(folder)) == 2)
    wait_for((folder / "inbox" / "largest.bmp").exists)
    started.send_signal(number)
    assert started.wait(60) == {signal.SIGINT: 130, signal.SIGKILL: -9}.get(number, 128 + number)
    wait_for(lambda: not children_of(folder))
    assert "daemon.stopping" in (folder / "run.log").read_text()


@pytest.mark.e2e
def test_the_demo_twice_in_a_row(process, folder):
    for _ in range(2):
        started = process("demo", "--once", "--dir", folder)
        out, err = started.communicate(timeout=200)
        assert started.returncode == 0, err
        assert "24 files, 61 MiB, are on both remotes, compared byte for byte." in out
    assert children_of(folder) == []
