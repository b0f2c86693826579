"""The error for a configuration that a user cannot read.

Only root can act as another user for that.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.errors import ExitCode, bad_config
from syncd.config import discovery, document, paths
from syncd.config.errors import ConfigError, ForbiddenError
from syncd.platform import user

if sys.platform == "win32" or os.geteuid() != 0:
    pytest.skip("only root can ask as somebody else", allow_module_level=True)

GROUP = "daemon"


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's configuration, in a folder for root and the members of a group."""
    with tempfile.TemporaryDirectory() as top:  # other users cannot enter pytest's own folders
        os.chmod(top, 0o755)
        path = Path(top, "etc", "config.yaml")
        path.parent.mkdir()
        path.write_text("")
        for changed, mode in (path, 0o640), (path.parent, 0o750):
            shutil.chown(changed, 0, GROUP)
            os.chmod(changed, mode)
        monkeypatch.setattr(paths, "SYSTEM_CONFIG", path)
        monkeypatch.setenv("XDG_CONFIG_HOME", "/root")  # as after `su`, which keeps a home that the user cannot enter
        yield path


def refused_to(name: str, path: Path) -> str:
    """Return the error that a user gets, with and without naming the file."""
    with user.rights_of(name):
        with pytest.raises(ForbiddenError) as unnamed:
            discovery.find(None)
        with pytest.raises(ForbiddenError) as named:
            document.read(path)
    assert str(unnamed.value) == str(named.value)
    assert bad_config(named.value).code == ExitCode.DENIED
    return str(named.value)


def test_forbidden_error_names_the_group_to_join(system: Path) -> None:
    message = refused_to("nobody", system)
    assert message == (
        f"{system}: permission denied — run with sudo, join its group (sudo usermod -aG {GROUP} nobody, "
        "then log in again), or name another file with -c"
    )


@pytest.mark.parametrize(("mode", "group"), [(0o700, GROUP), (0o750, "root")])
def test_forbidden_error_omits_a_group_that_does_not_help(system: Path, mode: int, group: str) -> None:
    shutil.chown(system.parent, 0, group)
    system.parent.chmod(mode)
    assert "run with sudo, or name another file" in refused_to("nobody", system)


def test_find_as_group_member_finds_the_file(system: Path) -> None:
    with user.rights_of(GROUP):
        assert discovery.find(None) == system
    system.chmod(0o600)
    with user.rights_of(GROUP), pytest.raises(ForbiddenError, match="run with sudo, or name another file"):
        document.read(system)


def test_find_missing_file_is_not_forbidden(system: Path) -> None:
    system.unlink()
    with user.rights_of(GROUP), pytest.raises(ConfigError, match="there is no configuration"):
        discovery.find(None)
