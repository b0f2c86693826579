"""The sources of tokens, and the warnings about exposed secrets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.config import paths
from syncd.config.load import Loaded, load
from tests.config.permissions import set_permissions

Write = Callable[[str], Path]
Problems = Callable[[str], list[str]]


def text(keys: str, url: str = "http://127.0.0.1:4444") -> str:
    return f"folders: [{{path: in, remote: drive}}]\nremotes:\n  drive: {{type: image, url: '{url}'{keys}}}\n"


def token(loaded: Loaded) -> str | None:
    found = loaded.config.remotes["drive"].token
    return found and found.get_secret_value()


def secret_file(path: Path, content: bytes = b"t0ken\n", mode: int = 0o600) -> Path:
    path.write_bytes(content)
    set_permissions(path, mode)
    return path


def test_token_from_token_file(write: Write, tmp_path: Path) -> None:
    secret_file(tmp_path / "drive.token", b"t0ken\r\n")
    loaded = load(write(text(", token_file: drive.token")))
    assert token(loaded) == "t0ken"
    assert loaded.warnings == ()


def test_token_from_environment(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE", "t0ken")
    assert token(load(write(text(", token_env: DRIVE")))) == "t0ken"
    assert token(load(write(text(", token: '${DRIVE}'")))) == "t0ken"


def test_token_from_systemd_credential(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert token(load(write(text("")))) is None
    (tmp_path / "credentials").mkdir()
    secret_file(tmp_path / "credentials/drive.token", mode=0o440)
    secret_file(tmp_path / "credentials/other", b"other", mode=0o440)
    assert token(load(write(text("")))) == "t0ken"
    loaded = load(write(text(", token_file: '${CREDENTIALS_DIRECTORY}/other'")))
    assert token(loaded) == "other"
    assert loaded.warnings == ()  # systemd's access lists look like a group with read permission


@pytest.mark.parametrize(
    ("keys", "content", "message"),
    [
        (", token_file: drive.token, token_env: DRIVE", b"x", "token_env: give only one of"),
        (", token: secret, token_file: drive.token", b"x", "token_file: give only one of"),
        (", token_file: nowhere", b"x", "nowhere cannot be read: No such file"),
        pytest.param(", token_file: .", b"x", "cannot be read: Is a directory", marks=pytest.mark.unix),
        (", token_file: drive.token", b"", "is empty"),
        (", token_file: drive.token", b"\n", "is empty"),
        (", token_file: drive.token", b"secret\nX-Evil: 1", "contains a space"),
        (", token_file: drive.token", b"secret\n\n", "contains a line break"),
        (", token_file: drive.token", b"secret\xff", "is not UTF-8 text"),
        (", token_file: drive.token", b"s" * 70_000, "is too large for a token"),
        (", token_env: UNSET_FOR_THIS", b"x", "no variable UNSET_FOR_THIS"),
        (", token_file: [x]", b"x", "must be a single value"),
    ],
)
def test_token_from_invalid_source_is_refused(
    problems: Problems, tmp_path: Path, keys: str, content: bytes, message: str
) -> None:
    secret_file(tmp_path / "drive.token", content)
    (problem,) = problems(text(keys))
    assert message in problem
    key = keys.rsplit(":", 1)[0].rsplit(maxsplit=1)[-1]  # the last key given
    assert problem.startswith(f"3: remotes.drive.{key}: ")
    assert "secret" not in problem


def test_token_file_without_permission_is_refused(
    problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file(tmp_path / "drive.token")
    keys = text(", token_file: drive.token"), text("")
    opened = Path.open

    def kept(path: Path, *args: Any, **more: Any) -> Any:  # a mode would not stop root, which runs the tests
        if path.suffix == ".token":
            raise PermissionError
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", kept)
    (problem,) = problems(keys[0])
    assert problem.endswith("drive.token: permission denied — make the user that runs the daemon its owner")
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "config.yaml")
    (problem,) = problems(keys[1])
    assert problem.endswith("permission denied — run with sudo: systemd passes the file to the service")


def test_token_file_that_others_can_read_warns(write: Write, tmp_path: Path) -> None:
    file = secret_file(tmp_path / "drive.token", mode=0o640)
    (warning,) = load(write(text(", token_file: drive.token"))).warnings
    assert f"config.yaml:3: remotes.drive.token_file: others on this machine can read {file}" in warning


@pytest.mark.parametrize("keys", [", token: t0ken", ", proxy: 'http://u:t0ken@127.0.0.1:1'"])
def test_secret_in_config_that_others_can_read_warns(write: Write, keys: str) -> None:
    path = write(text(keys))
    assert load(path).warnings == ()
    set_permissions(path, 0o644)
    (warning,) = load(path).warnings
    assert "others on this machine can read this file" in warning
    assert "t0ken" not in warning


def test_variable_in_config_does_not_warn(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE", "t0ken")
    path = write(text(", token: '${DRIVE}', proxy: 'http://127.0.0.1:1'"))
    set_permissions(path, 0o644)
    assert load(path).warnings == ()


def test_token_over_plain_http_warns(write: Write) -> None:
    for local in ("http://localhost:1", "http://127.8.0.1", "http://[::1]:1", "https://example.org"):
        assert load(write(text(", token: t0ken", local))).warnings == ()
    assert load(write(text("", "http://example.org"))).warnings == ()
    (warning,) = load(write(text(", token: t0ken", "http://example.org"))).warnings
    assert "unencrypted" in warning


def test_token_of_system_config_comes_from_its_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands of root find the token that systemd passes to the daemon."""
    path = write(text(""))
    secret_file(tmp_path / "drive.token")
    assert token(load(path)) is None
    monkeypatch.setattr("syncd.config.paths.SYSTEM_CONFIG", tmp_path / "config.yaml")
    assert token(load(path)) == "t0ken"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert token(load(path)) is None
