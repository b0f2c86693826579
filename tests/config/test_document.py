"""The YAML reader: lines, unchanged texts, limits, and messages for invalid files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from syncd.config import document
from syncd.config.document import expand, read
from syncd.config.errors import ConfigError

Write = Callable[[str], Path]


def error_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_Loader", getattr(yaml, request.param))


def test_read_keeps_scalars_as_text(write: Write) -> None:
    """YAML would read a number in base 60, an octal number, a float, a date and a boolean."""
    found = read(write("a: 22:00\nb: 0123\nc: 1e5\nd: 2030-01-31\ne: off\nf: 'null'\ng: null\nh:\n"))
    assert found.data == {
        "a": "22:00", "b": "0123", "c": "1e5", "d": "2030-01-31", "e": "off", "f": "null", "g": None, "h": None,
    }  # fmt: skip


def test_read_records_lines_of_keys_and_entries(write: Write) -> None:
    found = read(write("# first\na:\n  b:\n    - x\n    - {c: 1,\n       d: 2}\n"))
    assert found.lines == {
        ("a",): 2, ("a", "b"): 3, ("a", "b", 0): 4, ("a", "b", 1): 5, ("a", "b", 1, "c"): 5, ("a", "b", 1, "d"): 6,
    }  # fmt: skip


def test_read_expands_anchors_and_merges(write: Write) -> None:
    found = read(write("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\nd: *a\n"))
    assert found.data["c"] == {"x": "1", "y": "1", "z": "3"}
    assert found.data["d"] == {"x": "1", "y": "1"}


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing but this\n", "is empty"),
        ("- a\n", ":1: must contain keys and values"),
        ("a: 1\nb: 2\na: 3\n", ":3: the key a is here twice, first in line 1"),
        ("a: 1\n---\nb: 2\n", ":2: a second document"),
        ("a: [1\nb: 2\n", ":2:2: not valid YAML: "),
        ("a: [1\nb: 2\n", "expected ',' or ']'"),
        ("a: 'x\n", "not valid YAML"),
        ("a: \x01\n", "not valid YAML"),
        ("a: !!python/object:os.system x\n", ":1: a value that begins with !"),
        ("a: *nowhere\n", ":1: a value that begins with *"),
        ("a: &a [*a]\n", ":1: a value that begins with *"),
        ("? [a]\n: b\n", ":1: a key must be a single word"),
        ("a: {<<: 5}\n", ":1: << takes a mapping"),
        ("[" * 200_000, "nested too deeply"),
        ("a: " + "{a: " * 100_000, "nested too deeply"),
    ],
)
def test_read_invalid_text_is_refused(write: Write, text: str, message: str) -> None:
    assert message in error_of(write(text))


def test_read_alias_bomb_is_refused(write: Write) -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    assert "aliases counted in full" in error_of(write("a0: &a0 x\n" + "\n".join(levels)))


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    "value", ["*s3cret-token", "!s3cret-token", "!s3cret!token", "%s3cret-token", "@s3cret-token", "'s3cret-token"]
)
def test_read_error_does_not_quote_a_token(write: Write, value: str) -> None:
    assert "s3cret" not in error_of(write(f"token: {value}\n"))


def test_read_ignores_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("\ufeffa: 1".encode())
    assert read(path).data == {"a": "1"}


def test_read_unusable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert "syncd init" in error_of(path)
    assert "is a folder" in error_of(tmp_path)
    path.write_bytes("a: é".encode("utf-16"))
    assert "not in UTF-8" in error_of(path)
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    assert "larger than" in error_of(path)


@pytest.mark.unix
def test_read_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1")
    assert "cannot be read" in error_of(tmp_path / "config.yaml" / "below")


def test_read_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)  # a mode would not stop root, which runs the tests
    assert "permission denied" in error_of(tmp_path / "config.yaml")


def test_expand_replaces_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "a: [b")
    monkeypatch.delenv("UNSET", raising=False)
    assert expand("x${NAME}y$NAME$5") == "xa: [by$NAME$5"
    assert expand("$${NAME}") == "${NAME}"
    for text in ("${UNSET}", "${}", "${a b}", "${NAME"):
        with pytest.raises(ValueError, match=r"variable"):
            expand(text)
