"""Commands of a user without a home folder, as in a container."""

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

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="every user has a home folder on Windows")


@pytest.fixture
def config_folder(tmp_path, monkeypatch):
    """A folder with a configuration without ``state_dir``."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_without_home(config_folder, syncd, monkeypatch):
    """Run a command as a user without a passwd entry, with ``home`` as HOME."""

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
def test_command_without_home_names_setting(run_without_home, config_folder, home, command, advice):
    result = run_without_home(home, *command)
    assert result.code == 78, result.err
    (line,) = result.err.splitlines()
    assert line.startswith("syncd: this user ")
    assert line.endswith(advice)
    assert sorted(os.listdir(config_folder)) == ["config.yaml", "inbox"]


def test_check_without_home_names_setting(run_without_home):
    result = run_without_home(None, "check", "-c", "config.yaml")
    assert result.code == 1
    what = f"this user (uid {UID}) has no home folder — set state_dir in the configuration, or set HOME"
    assert result.out.split(maxsplit=2)[2].strip() == what


@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_run_unusable_home_names_setting(run_without_home, home):
    """Container engines set HOME to / for a user without a passwd entry."""
    result = run_without_home(home, "run", "-c", "config.yaml")
    assert result.code == 78, result.err
    (line,) = result.err.splitlines()
    assert f"set state_dir in config.yaml to a folder that user {UID} may write to, or set HOME" in line


@pytest.mark.parametrize("home", ["/", "/nonexistent"])
def test_check_root_as_home_does_not_advise_setfacl(run_without_home, home, monkeypatch):
    monkeypatch.setattr(user, "has_access", lambda path, mode: str(path) != "/" or not mode & os.W_OK)
    result = run_without_home(home, "check", "-c", "config.yaml")
    assert result.code == 1
    assert "setfacl" not in result.out
    assert f"set state_dir to a folder that user {UID} may write to" in result.out


def test_check_with_state_dir_needs_no_home(run_without_home, config_folder):
    with (config_folder / "config.yaml").open("a") as config:
        config.write("state_dir: state\n")
    result = run_without_home(None, "check", "-c", "config.yaml")
    assert "state folder" in result.out
    assert "no home" not in result.out
    assert run_without_home(None, "ctl", "-c", "config.yaml", "status").code == 3


def test_run_unusable_state_dir_does_not_name_home(run_without_home, config_folder):
    with (config_folder / "config.yaml").open("a") as config:
        config.write("state_dir: /dev/null/state\n")
    assert run_without_home("/", "run", "-c", "config.yaml").code == 69
