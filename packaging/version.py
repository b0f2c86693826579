"""Determines the version of the packages.

Hatchling reads it with ``[tool.hatch.version]`` of pyproject.toml.

Between releases, ``syncd/__init__.py`` has the next version with ``.dev0``. A package then has the time of the last
commit instead of the 0: ``0.2.0.dev20260131120000``. So pip, pipx and apt take a later package for an upgrade, and the
release for one too.
"""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version(root: Path = ROOT) -> str:
    """Return the version of the source in ``root``.

    ``root`` is a checkout or an unpacked sdist. An unpacked sdist keeps its version.
    """
    text = (root / "syncd" / "__init__.py").read_text(encoding="utf-8")
    (source,) = re.findall(r'(?m)^ *__version__ = "([^"]+)"', text)
    packaged = root / "PKG-INFO"
    if packaged.exists():
        return re.findall(r"(?m)^Version: (\S+)$", packaged.read_text(encoding="utf-8"))[0]
    if source.endswith(".dev0") and (time := _commit_time(root)):
        return source.removesuffix("0") + time
    return source


def _commit_time(root: Path) -> str | None:
    """Return the time of the last commit in UTC.

    Returns None if the folder has no repository.
    """
    try:
        top, time = _git(root, "rev-parse", "--show-toplevel"), _git(root, "log", "-1", "--format=%cd")
    except (OSError, subprocess.CalledProcessError):
        return None
    return time if Path(top) == root else None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "log.date=format-local:%Y%m%d%H%M%S", *arguments]
    environment = {**os.environ, "TZ": "UTC"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - git
    return done.stdout.strip()
