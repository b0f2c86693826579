"""A user without a home, as one in a container that was started with a bare number."""

import os
import pwd
import sys

import pytest

from syncd.platform import user

UID = 54_321
CONFIG = """
folders: [{path: inbox, remote: drive}]
remotes: {drive: {type: image, url: "http://127.0.0.1:1"}}
control: {dashboard: off}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="every user has a home there")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a configuration that names no state_dir."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nobody(site, syncd, monkeypatch):
    """Run a command as a user of whom the machine knows only the number, with this home."""

    def unknown(_uid):
        raise KeyError

    def run(home, *arguments):
        if home is None:
            monkeypatch.delenv("HOME", raising=False)
        else:
            monkeypatch.setenv("HOME", home)
        return syncd(*arguments)

    for name in [*filter(lambda name: name.startswith("XDG_"), os.environ), "SYNCD_CONFIG", "STATE_DIRECTORY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: UID)
    monkeypatch.setattr(os, "getuid", lambda: UID)
    return run


@pytest.mark.parametrize("home", [None, ""])
@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("run",), "name the configuration file, as by -c or SYNCD_CONFIG, or set HOME"),
        (("ctl", "status"), "name the configuration file, as by -c or SYNCD_CONFIG, or set HOME"),
        (("init", "--folder", "inbox"), "name the configuration file, as by -c or SYNCD_CONFIG, or set HOME"),
        (("run", "-c", "config.yaml"), "set state_dir in the configuration, or set HOME"),
        (("once", "-c", "config.yaml"), "set state_dir in the configuration, or set HOME"),
        (("ctl", "-c", "config.yaml", "status"), "set state_dir in the configuration, or set HOME"),
        (("serve", "--port", "0"), "set --dir or HOME"),
    ],
)
def test_no_home_ends_with_what_to_set(nobody, site, home, command, advice):
    ended = nobody(home, *command)
    assert ended.code == 78, ended.err
    (line,) = ended.err.splitlines()
    assert line.startswith("syncd: this user ")
    assert line.endswith(advice)
    assert sorted(os.listdir(site)) == ["config.yaml", "inbox"]


def test_check_says_it_too(nobody):
    ended = nobody(None, "check", "-c", "config.yaml")
    assert ended.code == 1
    what = f"this user (uid {UID}) has no home folder — set state_dir in the configuration, or set HOME"
    assert ended.out.split(maxsplit=2)[2].strip() == what


@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_home_that_is_none_ends_with_what_to_set(nobody, home):
    """Container engines set HOME to / for a user that is not in their list."""
    ended = nobody(home, "run", "-c", "config.yaml")
    assert ended.code == 78, ended.err
    (line,) = ended.err.splitlines()
    assert f"set state_dir in config.yaml to a folder that user {UID} may write to, or set HOME" in line


@pytest.mark.parametrize("home", ["/", "/nonexistent"])
def test_nobody_is_told_to_open_the_root_folder(nobody, home, monkeypatch):
    monkeypatch.setattr(user, "has_access", lambda path, mode: str(path) != "/" or not mode & os.W_OK)
    ended = nobody(home, "check", "-c", "config.yaml")
    assert ended.code == 1
    assert "setfacl" not in ended.out
    assert f"set state_dir to a folder that user {UID} may write to" in ended.out


def test_with_a_state_folder_no_home_is_needed(nobody, site):
    with (site / "config.yaml").open("a") as config:
        config.write("state_dir: state\n")
    ended = nobody(None, "check", "-c", "config.yaml")
    assert "state folder" in ended.out
    assert "no home" not in ended.out
    assert nobody(None, "ctl", "-c", "config.yaml", "status").code == 3


def test_a_state_folder_that_a_person_chose_is_not_put_down_to_the_home(nobody, site):
    with (site / "config.yaml").open("a") as config:
        config.write("state_dir: /dev/null/state\n")
    assert nobody("/", "run", "-c", "config.yaml").code == 69
