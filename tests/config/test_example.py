"""The example has every key, loads, and is the text from which `syncd init` starts."""

import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from syncd.cli.init import example_text
from syncd.config.load import load
from syncd.config.model import Config
from syncd.config.section import Section
from tests.config.permissions import set_permissions

ROOT = Path(__file__).parents[2]
NOT_IN_A_FILE = {"Bandwidth": {"spans"}, "AfterUpload": {"action"}, "Address": {"host", "port"}}
"""Keys of the model that have a short form in the file."""


def sections(annotation: Any) -> set[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        below = (sections(field.annotation) for field in annotation.model_fields.values())
        return {annotation}.union(*below)
    return set().union(*map(sections, get_args(annotation)))


def test_packaged_example_equals_the_one_in_the_root() -> None:
    assert example_text() == (ROOT / "config.example.yaml").read_text(encoding="utf-8")


def test_example_loads_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(example_text(), encoding="utf-8")
    loaded = load(path)
    assert loaded.warnings == ()
    assert set(loaded.config.remotes) == {"drive", "ascii"}


def test_example_loads_with_commented_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `#:` line is valid in its place; exclusive lines are tried one at a time."""
    monkeypatch.setenv("DRIVE_TOKEN", "x")
    monkeypatch.setenv("DRIVE_PASSWORD", "x")
    monkeypatch.setenv("PROXY_PASSWORD", "x")
    monkeypatch.setenv("NTFY_TOPIC", "x")
    for name in ("company-ca.pem", "client.pem", "client.key", "drive.token"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "drive.token").write_text("x")
    for name, url in ("notify.urls", "json://host"), ("ping.url", "https://host"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(url)
    for excluded in ("token_env|token", "token_file|token", "token_file|token_env"):
        text = re.sub(rf"(?m)^ *#: (?:{excluded}):.*\n", "", example_text())
        text = re.sub(r"(?m)^  (bandwidth: unlimited|file: null)\n", "", text)
        if sys.platform == "win32":
            text = re.sub(r"(?m)^ *#: group:.*\n", "", text)
        text = re.sub(r"(?m)^( *)#: ", r"\1", text)
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        set_permissions(path, 0o600)
        config = load(path).config
        assert len(config.scheduler.bandwidth.spans) == 3
        assert config.logging.file is not None
        assert len(config.notify.urls) == 2


@pytest.mark.parametrize("section", sorted(sections(Config), key=lambda section: section.__name__))
def test_example_has_every_key(section: type[Section]) -> None:
    keys = set(section.keys()) - NOT_IN_A_FILE.get(section.__name__, set())
    absent = {key for key in keys if not re.search(rf"(?m)(^ *(#: |- )*|[{{, ]){key}: ", example_text() + " ")}
    absent -= {key for key in absent if re.search(rf"(?m)^ *{key}:$", example_text())}
    assert absent == set()
