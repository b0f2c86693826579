"""Finds out which files the sandbox of the system service lets it read and change.

The settings come from systemd, with all drop-ins, or from the packaged unit if the service is not installed.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syncd.platform.systemd.install import Manager, run

PACKAGED = {
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectSystem": "strict",
    "ReadWritePaths": "-/var/spool/syncd",
}
"""The settings in the units of `packaging/systemd`."""
_PROPERTIES = ("LoadState", *PACKAGED, "BindPaths", "BindReadOnlyPaths", "SupplementaryGroups", "Environment")
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - compared, not used


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """The settings of the unit named ``unit`` for files and the environment."""

    unit: str
    settings: Mapping[str, str] = field(default_factory=lambda: PACKAGED)

    @property
    def groups(self) -> list[str]:
        """The groups that the unit adds to those of the user."""
        return self.settings.get("SupplementaryGroups", "").split()

    @property
    def has_proxy(self) -> bool:
        """True if the unit sets an environment variable for a proxy."""
        names = (word.partition("=")[0].lower() for word in self.settings.get("Environment", "").split())
        return not {"http_proxy", "https_proxy"}.isdisjoint(names)

    def hides(self, path: str) -> str | None:
        """Return the fix for a path that the service cannot see; None if it can see the path."""
        if any(_lies_in(path, place) for place in (*self._bound("BindPaths"), *self._bound("BindReadOnlyPaths"))):
            return None
        if self.settings.get("ProtectHome") in ("yes", "tmpfs") and any(_lies_in(path, home) for home in _HOMES):
            return f"run systemctl edit {self.unit} and add: [Service] ProtectHome=read-only"
        if self.settings.get("PrivateTmp") == "yes" and any(_lies_in(path, place) for place in _TEMPORARY):
            return "choose a folder outside /tmp and /var/tmp"
        return None

    def writes(self, path: str) -> bool:
        """Return whether the sandbox lets the service change files below a visible path."""
        if self.settings.get("ProtectSystem") != "strict":
            return True
        writable = (word.lstrip("-+") for word in self.settings.get("ReadWritePaths", "").split())
        return any(_lies_in(path, place) for place in (*writable, *self._bound("BindPaths")))

    def _bound(self, key: str) -> list[str]:
        """Return the mount points that ``key`` adds to what the service sees."""
        mounts = (word.lstrip("-").split(":") for word in self.settings.get(key, "").split())
        return [mount[1] if len(mount) > 1 else mount[0] for mount in mounts]


def unit_of(config: Path) -> str:
    """Return the name of the unit for a system configuration file."""
    return "syncd" if config.stem == "config" else f"syncd@{config.stem}"


def sandbox_of(config: Path) -> Sandbox | None:
    """Return the sandbox of the service for a system configuration; None on Windows.

    It has the settings that systemd has loaded, or those of the packaged unit if the service is not installed.
    """
    if sys.platform == "win32":
        return None
    unit = unit_of(config)
    shown = Manager(user=False, run=run).properties(f"{unit}.service", *_PROPERTIES)
    return Sandbox(unit=unit, settings=shown if shown.get("LoadState") == "loaded" else PACKAGED)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
