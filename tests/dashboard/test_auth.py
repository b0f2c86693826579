"""The token's file is private, survives restarts, and is replaced if others could read it."""

import os
import re
import stat

import pytest
from structlog.testing import capture_logs

from syncd.dashboard.auth import Credentials, load_token


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dashboard.token"


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_new_token_is_owner_only_with_any_umask(path):
    before = os.umask(0)
    try:
        token = load_token(str(path))
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert re.fullmatch(r"[\w-]{43}", token)
    assert os.listdir(path.parent) == [path.name]


def test_token_is_owner_only_while_written(path, monkeypatch):
    seen = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda old, new: (seen.append((mode(old), os.path.exists(new))), replace(old, new))
    )
    load_token(str(path))
    assert seen == [(0o600, False)]


def test_token_survives_restart(path):
    with capture_logs() as logged:
        assert load_token(str(path)) == load_token(str(path))
    assert logged == []


def test_token_is_written_despite_partial_file(path):
    (path.parent / f"{path.name}.new").write_text("half")
    assert load_token(str(path)) == load_token(str(path))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("given", [0o640, 0o604, 0o622, 0o777])
def test_token_readable_by_others_is_replaced(path, given):
    old = load_token(str(path))
    path.chmod(given)
    with capture_logs() as logged:
        new = load_token(str(path))
    assert new != old
    assert mode(path) == 0o600
    assert [event["event"] for event in logged] == ["dashboard.token_replaced"]
    assert old not in str(logged)
    assert new not in str(logged)


@pytest.mark.parametrize("held", ["", "short", "x" * 44, "é" * 43, "a b" + "x" * 40])
def test_malformed_token_is_replaced(path, held):
    path.write_text(held)
    path.chmod(0o600)
    assert load_token(str(path)) != held


def test_symbolic_link_is_replaced_not_followed(path, tmp_path):
    other = tmp_path / "other"
    other.write_text("x" * 43)
    other.chmod(0o600)
    path.symlink_to(other)
    assert load_token(str(path)) != "x" * 43
    assert not path.is_symlink()
    assert other.read_text() == "x" * 43


def test_fifo_is_replaced_without_blocking(path):
    os.mkfifo(path, 0o600)
    load_token(str(path))
    assert path.is_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_token_of_other_user_is_replaced(path):
    old = load_token(str(path))
    os.chown(path, 65_534, 65_534)
    assert load_token(str(path)) != old
    assert path.stat().st_uid == 0


def test_cookie_does_not_reveal_token(path):
    token = load_token(str(path))
    credentials = Credentials(token, port=8765)
    assert "8765" in credentials.cookie_name
    assert token not in credentials.cookie
    assert credentials.matches_cookie(credentials.cookie)
    assert not credentials.matches_token(credentials.cookie)
    assert not credentials.matches_cookie(token)
    assert Credentials(load_token(str(path)), port=8765).cookie == credentials.cookie
