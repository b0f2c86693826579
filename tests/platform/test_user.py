"""What to do about rights that are missing."""

import pytest

from syncd.platform import user

pytestmark = pytest.mark.unix


def test_the_root_folder_gets_no_list_of_rights(monkeypatch):
    monkeypatch.setattr(user, "own_name", lambda: "12345")
    assert user.granting("rx", "/") == "sudo chmod o+rx /"
    assert "/" not in user.granting("rwx", "/")
    assert user.granting("rx", "/srv") == "sudo setfacl -m u:12345:rx /srv"


def test_a_folder_that_is_missing_is_made_where_it_belongs(monkeypatch):
    monkeypatch.setattr(user, "own_name", lambda: "12345")
    assert user.making("/srv/state") == "sudo install -d -o 12345 -m 700 /srv/state"
