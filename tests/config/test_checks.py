"""Folders must not overlap, and after_upload must not move files into a watched folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config.load import load

Write = Callable[[str], Path]
Problems = Callable[[str], list[str]]

REMOTES = "remotes: {drive: {type: image, url: 'http://127.0.0.1:4444'}}\n"


def two(first: str, second: str) -> str:
    return f"{REMOTES}folders:\n- {{remote: drive, {first}}}\n- {{remote: drive, {second}}}\n"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("path: a", "path: b/../a", "is already watched by folders[0]"),
        ("path: a", "path: a/b", "is in a"),
        ("path: a/b", "path: a", "contains a/b"),
        pytest.param("path: a", "path: link/b", "is in a", marks=pytest.mark.unix),
        ("path: a, after_upload: {move: a/done}", "path: b", "files would be uploaded again"),
        ("path: a, after_upload: {move: b}", "path: b", "files would be uploaded again"),
        ("path: a, recursive: false, after_upload: {move: a}", "path: b", "files would be uploaded again"),
    ],
)
def test_across_sections_overlap_is_refused(
    problems: Problems, tmp_path: Path, first: str, second: str, message: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (problem,) = problems(two(first, second))
    assert message in problem


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("path: a", "path: ab"),
        ("path: a, recursive: false", "path: a/b"),
        ("path: a/b", "path: a, recursive: no"),
        ("path: a/in, after_upload: {move: a}", "path: b"),
        ("path: a, recursive: false, after_upload: {move: a/done}", "path: b"),
    ],
)
def test_across_sections_separate_folders_are_allowed(write: Write, first: str, second: str) -> None:
    assert len(load(write(two(first, second))).config.folders) == 2


def test_problem_with_long_path_is_shortened(problems: Problems) -> None:
    (problem,) = problems(two("path: inbox", f"path: {'../' * 2000}"))
    assert len(problem) < 1100
    assert problem.endswith("set recursive: false for the outer one")
