"""What the system's service may see and change: its unit, as systemd has it with all drop-ins, or as it is packaged."""

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
"""What the units of `packaging/systemd` say."""
_ASKED = ("LoadState", *PACKAGED, "BindPaths", "BindReadOnlyPaths", "SupplementaryGroups", "Environment")
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - told apart, not used


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """The part of a unit that decides about files and the environment; ``unit`` is its name."""

    unit: str
    settings: Mapping[str, str] = field(default_factory=lambda: PACKAGED)

    @property
    def groups(self) -> list[str]:
        """The groups that the unit gives its process beside those of the user."""
        return self.settings.get("SupplementaryGroups", "").split()

    @property
    def has_proxy(self) -> bool:
        """Whether the unit sets a variable that names a proxy."""
        names = (word.partition("=")[0].lower() for word in self.settings.get("Environment", "").split())
        return not {"http_proxy", "https_proxy"}.isdisjoint(names)

    def hides(self, path: str) -> str | None:
        """Say what to do about a path that the service does not see; None for one that it does."""
        if any(_lies_in(path, place) for place in (*self._bound("BindPaths"), *self._bound("BindReadOnlyPaths"))):
            return None
        if self.settings.get("ProtectHome") in ("yes", "tmpfs") and any(_lies_in(path, home) for home in _HOMES):
            return f"run systemctl edit {self.unit} and add: [Service] ProtectHome=read-only"
        if self.settings.get("PrivateTmp") == "yes" and any(_lies_in(path, place) for place in _TEMPORARY):
            return "choose a folder that is not among the temporary ones"
        return None

    def writes(self, path: str) -> bool:
        """Whether the service may change something below a path that it sees, if the mode allows it."""
        if self.settings.get("ProtectSystem") != "strict":
            return True
        writable = (word.lstrip("-+") for word in self.settings.get("ReadWritePaths", "").split())
        return any(_lies_in(path, place) for place in (*writable, *self._bound("BindPaths")))

    def _bound(self, key: str) -> list[str]:
        """Return where something is mounted into the service's view."""
        mounts = (word.lstrip("-").split(":") for word in self.settings.get(key, "").split())
        return [mount[1] if len(mount) > 1 else mount[0] for mount in mounts]


def unit_of(config: Path) -> str:
    """Name the unit of a configuration file of the system."""
    return "syncd" if config.stem == "config" else f"syncd@{config.stem}"


def sandbox_of(config: Path) -> Sandbox | None:
    """Return the sandbox of the service that a system configuration belongs to; None on Windows.

    It has the settings that systemd has loaded, or those of the packaged unit if the service is not installed.
    """
    if sys.platform == "win32":
        return None
    unit = unit_of(config)
    shown = Manager(user=False, run=run).shows(f"{unit}.service", *_ASKED)
    return Sandbox(unit=unit, settings=shown if shown.get("LoadState") == "loaded" else PACKAGED)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
