"""Reads the texts of the systemd units, and names the paths where they are installed.

The source is `packaging/systemd`; a wheel has a copy of it next to this module.
"""

import os
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

PROGRAM = "/usr/bin/syncd"
"""The program that the units in the source start."""


def text(name: str) -> str:
    """Return the text of a file of `packaging/systemd`."""
    return _source().joinpath(name).read_text(encoding="utf-8")


def unit(name: str, program: str) -> str:
    """Return the text of a unit that starts ``program``, quoted as in ``ExecStart``."""
    return re.sub(rf"(?m)^(Exec\w+)={PROGRAM} ", lambda match: f"{match[1]}={program} ", text(name))


def own_program() -> str:
    """Return the command that starts this installation of syncd, for `ExecStart`."""
    script = os.path.join(os.path.dirname(sys.executable), "syncd")
    return quoted(script) if os.access(script, os.X_OK) else f"{quoted(sys.executable)} -m syncd"


def quoted(path: str) -> str:
    """Return a path as one word of a unit file."""
    escaped = re.sub(r'(["\\])', r"\\\1", path.replace("%", "%%").replace("$", "$$"))
    return escaped if re.fullmatch(r"[\w/.+%@:-]+", escaped) else f'"{escaped}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallPaths:
    """The paths of an installation, for the whole machine or for one user."""

    files: dict[Path, str]
    """The installed files, each with its name in the source."""
    packaged: tuple[Path, ...]
    """Paths at which a package of the distribution installs the unit."""
    config: Path
    kept: tuple[Path, ...]
    """Folders of state, logs and configuration that stay until a purge."""
    user: bool

    def units(self) -> list[str]:
        """Return the names of the units for all existing configurations."""
        others = [] if self.user else sorted(self.config.parent.glob("*.yaml"))
        return ["syncd.service", *(f"syncd@{path.stem}.service" for path in others if path != self.config)]

    def packaged_unit(self) -> Path | None:
        """Return the unit that a package has installed, if any."""
        return next((path for path in self.packaged if path.exists()), None)


def for_system(root: Path = Path("/")) -> InstallPaths:
    """Return the paths for the machine whose file system has its root at ``root``."""
    etc, var = root / "etc", root / "var"
    instances = [path.stem for path in sorted((etc / "syncd").glob("*.yaml")) if path.stem != "config"]
    names = ["syncd", *(f"syncd-{name}" for name in instances)]
    return InstallPaths(
        files={
            etc / "sysusers.d/syncd.conf": "sysusers.conf",
            etc / "tmpfiles.d/syncd.conf": "tmpfiles.conf",
            etc / "systemd/system/syncd.service": "syncd.service",
            etc / "systemd/system/syncd@.service": "syncd@.service",
        },
        packaged=(root / "usr/lib/systemd/system/syncd.service", root / "lib/systemd/system/syncd.service"),
        config=etc / "syncd/config.yaml",
        kept=(*(var / folder / name for name in names for folder in ("lib", "log")), etc / "syncd"),
        user=False,
    )


def for_user(*, config: Path, state: Path, root: Path = Path("/")) -> InstallPaths:
    """Return the paths for a user with this configuration file and state folder."""
    return InstallPaths(
        files={config.parent.parent / "systemd/user/syncd.service": "user/syncd.service"},
        packaged=(root / "usr/lib/systemd/user/syncd.service",),
        config=config,
        kept=(state, config.parent),
        user=True,
    )


def _source() -> Traversable:
    packed = files("syncd.platform.systemd").joinpath("units")
    return packed if packed.is_dir() else Path(__file__).parents[3] / "packaging" / "systemd"
