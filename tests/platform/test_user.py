"""What to do about rights that are missing."""

import pytest

from syncd.platform import user

pytestmark = pytest.mark.unix


def test_the_root_folder_gets_no_list_of_rights(monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.user.own_name", lambda: "12345")
    assert user.grant_command("rx", "/") == "sudo chmod o+rx /"
    assert "/" not in user.grant_command("rwx", "/")
    assert user.grant_command("rx", "/srv") == "sudo setfacl -m u:12345:rx /srv"


def test_a_folder_that_is_missing_is_made_where_it_belongs(monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.user.own_name", lambda: "12345")
    assert user.mkdir_command("/srv/state") == "sudo install -d -o 12345 -m 700 /srv/state"
