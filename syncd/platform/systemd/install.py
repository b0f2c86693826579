"""Installs and removes the systemd service, as a list of steps.

A step checks whether it is due when its turn comes. So the list can be repeated, and printed without any change.
:mod:`syncd.platform.windows.install` does the same on Windows.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from syncd.platform import user
from syncd.platform.systemd import unit_files
from syncd.platform.systemd.unit_files import InstallPaths

if sys.platform != "win32":
    import grp

USER = "syncd"
"""The user and the group of the system service."""
SPOOL = "var/spool/syncd"
"""The folder that the packaged configuration watches."""

Run = Callable[[list[str]], subprocess.CompletedProcess[str]]


class CommandFailedError(Exception):
    """A system command failed; ``str()`` is the command and its message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One change to ``what``; ``done`` is its state afterwards, such as `written`."""

    what: str
    done: str
    due: Callable[[], bool]
    act: Callable[[], object]


class Manager:
    """Runs `systemctl` for the machine or for this user, and other system commands."""

    def __init__(self, *, user: bool, run: Run) -> None:
        self._systemctl = ["systemctl", "--user"] if user else ["systemctl"]
        self._run = run

    def succeeds(self, *arguments: str) -> bool:
        """Return whether `systemctl` succeeds with these arguments, such as `is-active`."""
        return self._run([*self._systemctl, *arguments]).returncode == 0

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """Return the values of a unit's properties by their names."""
        out = self._run([*self._systemctl, "show", unit, f"--property={','.join(names)}"]).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def systemctl(self, *arguments: str) -> None:
        """Run `systemctl` with these arguments. Raises :class:`CommandFailedError`."""
        self.call(*self._systemctl, *arguments)

    def call(self, *command: str) -> None:
        """Run a command. Raises :class:`CommandFailedError`."""
        ended = self._run(list(command))
        if ended.returncode:
            message = " ".join((ended.stderr or ended.stdout).split()) or f"ended with {ended.returncode}"
            raise CommandFailedError(f"{' '.join(command)}: {message}")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command and wait for its end; exit code 127 if it is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no user input
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "is not installed")


def install(
    places: InstallPaths, manager: Manager, *, program: str, now: bool, root: Path = Path("/")
) -> Iterator[Step]:
    """Return the steps that install the service and start it with the machine or the session.

    ``now`` starts it at once too.
    """
    if not places.packaged_unit():
        for path, name in places.files.items():
            yield _written(path, unit_files.unit(name, program))
        if not places.user:
            yield from _prerequisites(places, manager, root)
    yield Step(
        what="service manager",
        done="reloaded",
        due=lambda: manager.properties("syncd.service", "NeedDaemonReload").get("NeedDaemonReload") == "yes",
        act=lambda: manager.systemctl("daemon-reload"),
    )
    yield Step(
        what="syncd.service",
        done="enabled",
        due=lambda: not manager.succeeds("is-enabled", "--quiet", "syncd.service"),
        act=lambda: manager.systemctl("enable", "--quiet", "syncd.service"),
    )
    if now:
        yield Step(
            what="syncd.service",
            done="started",
            due=lambda: not manager.succeeds("is-active", "--quiet", "syncd.service"),
            act=lambda: manager.systemctl("start", "syncd.service"),
        )


def _prerequisites(places: InstallPaths, manager: Manager, root: Path) -> Iterator[Step]:
    """Create the user, the folders and a first configuration."""
    yield Step(
        what=f"user and group {USER}",
        done="created",
        due=lambda: not user.exists(USER),
        act=lambda: manager.call("systemd-sysusers", str(root / "etc/sysusers.d/syncd.conf")),
    )
    yield Step(
        what=f"{places.config.parent} and {root / SPOOL}",
        done="created",
        due=lambda: not (places.config.parent.is_dir() and (root / SPOOL).is_dir()),
        act=lambda: manager.call("systemd-tmpfiles", "--create", str(root / "etc/tmpfiles.d/syncd.conf")),
    )
    yield Step(
        what=str(places.config),
        done="written; set url, pool_id and token in it",
        due=lambda: not places.config.exists(),
        act=lambda: _write_config(places.config),
    )


def uninstall(places: InstallPaths, manager: Manager, *, purge: bool, root: Path = Path("/")) -> Iterator[Step]:
    """Return the steps that stop and remove the service.

    ``purge`` removes its state, logs, configuration and user too.
    """
    for unit in places.units():
        yield from _disabled(unit, manager)
    for path in places.files:
        yield Step(what=str(path), done="removed", due=path.exists, act=path.unlink)
    yield Step(
        what="service manager",
        done="reloaded",
        due=lambda: manager.properties("syncd.service", "LoadState").get("LoadState") not in ("not-found", None),
        act=lambda: manager.systemctl("daemon-reload"),
    )
    if purge:
        for path in places.kept:
            yield Step(what=str(path), done="removed", due=path.exists, act=partial(shutil.rmtree, path))
        if not places.user:
            yield from _purged(root / SPOOL, manager)


def _disabled(unit: str, manager: Manager) -> Iterator[Step]:
    yield Step(
        what=unit,
        done="stopped",
        due=lambda: (
            manager.properties(unit, "ActiveState").get("ActiveState", "inactive") not in ("inactive", "failed")
        ),
        act=lambda: manager.systemctl("stop", unit),
    )
    yield Step(
        what=unit,
        done="disabled",
        due=lambda: manager.succeeds("is-enabled", "--quiet", unit),
        act=lambda: manager.systemctl("disable", "--quiet", unit),
    )


def _purged(spool: Path, manager: Manager) -> Iterator[Step]:
    """Remove the user and its empty inbox, but never an image."""
    yield Step(
        what=str(spool), done="removed", due=lambda: spool.is_dir() and not any(spool.iterdir()), act=spool.rmdir
    )
    yield Step(
        what=f"user {USER}", done="removed", due=partial(user.exists, USER), act=lambda: manager.call("userdel", USER)
    )


def _written(path: Path, text: str) -> Step:
    def due() -> bool:
        try:
            return path.read_text(encoding="utf-8") != text
        except FileNotFoundError:
            return True

    def act() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

    return Step(what=str(path), done="written", due=due, act=act)


def _write_config(path: Path) -> None:
    """Write the packaged configuration; root can change it, the group can read it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8") as file:
        with suppress(KeyError):
            os.fchown(file.fileno(), 0, grp.getgrnam(USER).gr_gid)
        file.write(unit_files.text("config.yaml"))
