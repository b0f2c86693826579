"""Fixtures that write configurations in an environment without influence on them."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config.load import ConfigError, load
from tests.config.permissions import set_permissions

Write = Callable[[str], Path]
Problems = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SYNCD_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        set_permissions(path, 0o600)
        return path

    return write


@pytest.fixture
def problems(write: Write) -> Problems:
    """Load an invalid text; return each problem as `line: key: message`."""

    def problems(text: str) -> list[str]:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            load(path)
        lines = str(caught.value).split("\n")
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:") for line in lines]

    return problems
