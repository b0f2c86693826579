"""The commands that give this user missing rights."""

import pytest

from syncd.platform import user

pytestmark = pytest.mark.unix


def test_grant_command_for_root_folder_sets_no_acl(monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.user.own_name", lambda: "12345")
    assert user.grant_command("rx", "/") == "sudo chmod o+rx /"
    assert "/" not in user.grant_command("rwx", "/")
    assert user.grant_command("rx", "/srv") == "sudo setfacl -m u:12345:rx /srv"


def test_mkdir_command_sets_owner_and_mode(monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.user.own_name", lambda: "12345")
    assert user.mkdir_command("/srv/state") == "sudo install -d -o 12345 -m 700 /srv/state"
