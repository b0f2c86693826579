"""The quick lookup of the control socket agrees with the model and imports little."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config import paths
from syncd.config.discovery import control_socket, find, state_dir
from syncd.config.errors import ConfigError
from syncd.config.load import load
from syncd.platform import user

Write = Callable[[str], Path]

REST = """\
folders: [{path: in, remote: drive}]
remotes: {drive: {type: image, url: "http://127.0.0.1:4444"}}
"""

SECTIONS = [
    "",
    "control:\n",
    "control: {dashboard: off}\n",
    "control: {socket: my.sock}\n",
    "control: {socket: ~/my.sock}\n",
    "control: {socket: '${PLACE}/my.sock'}\nstate_dir: other\n",
    "control: {socket: null}\nstate_dir: ../state\n",
    "state_dir: '${PLACE}'\n",
    "state_dir: ~/state\ncontrol: {}\n",
    "state_dir:\n",
    "control: {<<: {socket: a.sock}, dashboard: off}\n",
]


@pytest.fixture(params=["root", "user", "user without a runtime folder", "service"])
def _everybody(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLACE", "/somewhere")
    monkeypatch.setenv("HOME", "/home/somebody")  # tmp_path is too long for a socket
    monkeypatch.setattr(user, "is_root", lambda: request.param == "root")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path if request.param == "user" else tmp_path / "none"))
    if request.param == "service":
        monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/granted:{tmp_path}/second")
        monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/runtime")


@pytest.mark.usefixtures("_everybody")
@pytest.mark.parametrize("section", SECTIONS)
def test_discovery_agrees_with_model(write: Write, section: str) -> None:
    path = write(section + REST)
    config = load(path).config
    assert (config.control.socket, config.state_dir) == (control_socket(path), state_dir(path))


@pytest.mark.parametrize(
    "section",
    [
        "control: {socket: [x]}\n",
        pytest.param("state_dir: ~no-such-user/x\n", marks=pytest.mark.unix),
        "state_dir: '${UNSET_HERE}'\n",
        pytest.param(f"state_dir: /{'x' * 110}\n", marks=pytest.mark.unix),
    ],
)
def test_discovery_is_as_strict_as_model(write: Write, section: str) -> None:
    path = write(section + REST)
    message = []
    for reader in (load, control_socket):
        with pytest.raises(ConfigError) as caught:
            reader(path)
        message.append(str(caught.value))
    assert message[0] == message[1]


@pytest.mark.unix
def test_default_paths_agree_with_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(user, "is_root", lambda: True)
    assert paths.state_dir() == Path("/var/lib/syncd")
    assert paths.control_socket(None) == Path("/run/syncd/control.sock")
    assert paths.control_socket(Path("/srv/state")) == Path("/srv/state/control.sock")
    monkeypatch.setattr(user, "is_root", lambda: False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert paths.state_dir() == tmp_path / "state/syncd"
    assert paths.control_socket(None) == tmp_path / "syncd/control.sock"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    assert paths.control_socket(None) == tmp_path / "state/syncd/control.sock"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one")
    assert paths.state_dir() == Path("/var/lib/one")
    assert paths.control_socket(None) == Path("/run/one/control.sock")


@pytest.mark.unix
@pytest.mark.parametrize(("uid", "service"), [(0, "syncd"), (1000, None)])
def test_system_service_is_only_for_root(monkeypatch: pytest.MonkeyPatch, uid: int, service: str | None) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    assert paths.system_service(None) == service


@pytest.mark.unix
def test_system_config_has_same_paths_for_every_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "config.yaml")
    monkeypatch.setattr(user, "is_root", lambda: False)
    for name, service in ("config", "syncd"), ("photos", "syncd-photos"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(REST)
        config = load(path).config
        assert config.state_dir == state_dir(path) == Path("/var/lib") / service
        assert config.control.socket == control_socket(path) == Path("/run") / service / "control.sock"


def test_find_without_config_names_the_instances(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="write one with syncd init"):
        find(None)
    paths_of_instances = [tmp_path / "films.yaml", tmp_path / "photos.yaml"]
    for path in paths_of_instances:
        path.touch()
    with pytest.raises(ConfigError) as caught:
        find(None)
    assert str(caught.value).endswith(f"— name one of these with -c: {', '.join(map(str, paths_of_instances))}")


@pytest.mark.e2e
def test_discovery_imports_no_slow_library() -> None:
    slow = {"pydantic", "aiohttp", "pathspec", "platformdirs"}
    code = f"import sys, syncd.config.discovery; print(*sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
