"""Daemons on one machine find out which directories the others watch."""

import os
import socket
import sys

import pytest

from syncd.platform import watchers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")


@pytest.fixture
def places(tmp_path):
    for name in ("watched", "unwatched", "state", "other-state"):
        (tmp_path / name).mkdir()
    return {path.name: os.stat(path) for path in tmp_path.iterdir()}


def test_other_watchers_finds_announced_watch(places):
    mark = watchers.announce_watch(places["watched"], places["state"])
    assert watchers.other_watchers(places["watched"], places["other-state"]) == [os.getpid()]
    assert watchers.other_watchers(places["watched"], None) == [os.getpid()]
    assert watchers.other_watchers(places["watched"], places["state"]) == []
    assert watchers.other_watchers(places["unwatched"], places["other-state"]) == []
    mark.close()
    assert watchers.other_watchers(places["watched"], places["other-state"]) == []


def test_other_watchers_ignores_foreign_sockets(places):
    number = f"{places['watched'].st_dev}:{places['watched'].st_ino}"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as another:
        other.bind(f"\0syncd-watches:{number}:1:1:1")
        another.bind(f"\0x@syncd-watches:{number}:\xff:1:1:00")
        assert watchers.other_watchers(places["watched"], None) == []


def test_other_watchers_without_proc_is_empty(places, monkeypatch, tmp_path):
    with watchers.announce_watch(places["watched"], places["state"]):
        monkeypatch.setattr(watchers, "LISTED", tmp_path / "nowhere")
        assert watchers.other_watchers(places["watched"], None) == []


def test_announce_watch_keeps_directory_unopened(places, tmp_path):
    """An open descriptor would keep its file system from being unmounted."""
    with watchers.announce_watch(places["watched"], places["state"]):
        held = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)}
        assert str(tmp_path / "watched") not in held


def _is_open(fd):
    return os.path.lexists(f"/proc/self/fd/{fd}")
