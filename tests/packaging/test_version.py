"""Versions of packages: pip, pipx and dpkg take each later package for an upgrade."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import syncd
from packaging.version import Version

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not shutil.which("git"), reason="there is no git")]

ROOT = Path(__file__).parents[2]
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@host"]


@pytest.fixture(scope="module")
def version():
    spec = importlib.util.spec_from_file_location("version", ROOT / "packaging" / "version.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.version


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with a source of the version 0.2.0.dev0."""
    root = tmp_path.resolve() / "source"
    (root / "syncd").mkdir(parents=True)
    write(root, "0.2.0.dev0")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


def write(root: Path, number: str) -> None:
    (root / "syncd" / "__init__.py").write_text(f'__version__ = "{number}"\n')


def commit(root: Path, time: str) -> None:
    dates = {"GIT_AUTHOR_DATE": time, "GIT_COMMITTER_DATE": time}
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    command = ["git", *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "x"]
    subprocess.run(command, cwd=root, env={**os.environ, **dates}, check=True)


def test_source_has_a_version_of_the_scheme() -> None:
    number = Version(syncd.__version__)
    assert number.dev in (None, 0)
    assert number.public == syncd.__version__


def test_version_grows_with_each_commit_up_to_the_release(version, source: Path) -> None:
    found = []
    for time in "2026-01-31T12:00:00+00:00", "2026-01-31T13:00:00+02:00", "2026-01-31T12:00:01+00:00":
        commit(source, time)
        found.append(version(source))
    assert found == ["0.2.0.dev20260131120000", "0.2.0.dev20260131110000", "0.2.0.dev20260131120001"]
    write(source, "0.2.0")
    found.append(version(source))
    write(source, "0.3.0.dev0")
    found.append(version(source))
    later = [found[index] for index in (1, 0, 2, 3, 4)]
    assert sorted(later, key=Version) == later
    assert Version("0.1.0") < Version(later[0])


def test_version_without_own_repository_is_that_of_the_source(version, source: Path) -> None:
    assert version(source) == "0.2.0.dev0"
    commit(source, "2026-01-31T12:00:00+00:00")
    below = source / "build" / "other"
    shutil.copytree(source / "syncd", below / "syncd")
    assert version(below) == "0.2.0.dev0"


def test_version_of_sdist_stays(version, source: Path) -> None:
    commit(source, "2026-01-31T12:00:00+00:00")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: syncd\nVersion: 0.2.0.dev7\n")
    assert version(source) == "0.2.0.dev7"


@pytest.mark.skipif(not shutil.which("dpkg"), reason="there is no dpkg")
def test_dpkg_sorts_versions_like_pip() -> None:
    line = next(line for line in (ROOT / "packaging/debian/build.sh").read_text().splitlines() if "| sed" in line)
    expression = line.partition("sed '")[2].partition("'")[0]
    numbers = ["0.1.0", "0.2.0.dev20260131120000", "0.2.0.dev20260131120001", "0.2.0", "0.3.0.dev20260201000000"]
    debian = [
        subprocess.run(["sed", expression], input=number, capture_output=True, text=True, check=True).stdout + "+py3.11"
        for number in numbers
    ]
    for lower, higher in itertools.pairwise(debian):
        subprocess.run(["dpkg", "--compare-versions", lower, "lt", higher], check=True)
    assert debian[1] == "0.2.0~dev20260131120000+py3.11"


def test_wheel_reports_its_version(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import syncd; print(syncd.__version__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == wheel.name.split("-")[1]
