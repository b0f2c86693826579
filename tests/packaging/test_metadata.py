"""The package's metadata is complete, and its locks name no host.

The README begins with the installation.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.txt"))


def test_metadata_names_authors_and_urls() -> None:
    assert all(author["name"] and "@" in author["email"] for author in PROJECT["authors"])
    assert {"Homepage", "Documentation", "Changelog", "Source", "Issues"} <= set(PROJECT["urls"])


def test_classifiers_agree_with_required_python() -> None:
    versions = re.findall(r":: Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert [int(version[2:]) for version in versions] == list(range(11, 11 + len(versions)))


def test_every_dependency_group_is_locked() -> None:
    assert {f"{group}.txt" for group in PYPROJECT["dependency-groups"]} <= set(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_hashes_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"(?m)^[\w.-]+==\S+.*(?:\n    .*)*", text)
    assert pinned
    assert [entry for entry in pinned if "--hash=sha256:" not in entry] == []


def test_readme_begins_with_installation() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ways = [text.index(way) for way in ("pipx install", "apt install", "podman build")]
    assert max(ways) < text.index("make run ") < text.index("make test ")
