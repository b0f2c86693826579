"""Puts the systemd service in place and takes it away: a list of steps, each of which is due or done already.

A step looks whether it is due when its turn comes, so that all can be repeated, and shown without being done.
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
from syncd.platform.systemd.unit_files import Places

if sys.platform != "win32":
    import grp

USER = "syncd"
"""The user, and the group, that the system's service runs as."""
SPOOL = "var/spool/syncd"
"""The folder that the packaged configuration watches."""

Run = Callable[[list[str]], subprocess.CompletedProcess[str]]


class CommandFailed(Exception):  # noqa: N818 - it says what is the case
    """A command of the system that a step needs has failed; ``str()`` is what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do to ``what``; ``done`` is how it is afterwards, as `written`."""

    what: str
    done: str
    due: Callable[[], bool]
    act: Callable[[], object]


class Manager:
    """The service manager of the machine or of this user, by way of `systemctl`; and the tools beside it."""

    def __init__(self, *, user: bool, run: Run) -> None:
        self._systemctl = ["systemctl", "--user"] if user else ["systemctl"]
        self._run = run

    def says(self, *words: str) -> bool:
        """Whether a question, as `is-active`, is answered by yes."""
        return self._run([*self._systemctl, *words]).returncode == 0

    def shows(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit."""
        out = self._run([*self._systemctl, "show", unit, f"--property={','.join(properties)}"]).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def tell(self, *words: str) -> None:
        """Have something done. Raises :class:`CommandFailed`."""
        self.call(*self._systemctl, *words)

    def call(self, *command: str) -> None:
        """Run a tool. Raises :class:`CommandFailed`."""
        ended = self._run(list(command))
        if ended.returncode:
            said = " ".join((ended.stderr or ended.stdout).split()) or f"ended with {ended.returncode}"
            raise CommandFailed(f"{' '.join(command)}: {said}")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that is not there has failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - words of ours
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "is not on this machine")


def install(places: Places, manager: Manager, *, program: str, now: bool, root: Path = Path("/")) -> Iterator[Step]:
    """Put the service in place, have it started with the machine or the session, and ``now`` if so wished."""
    if not places.packaged_unit():
        for path, name in places.files.items():
            yield _written(path, unit_files.unit(name, program))
        if not places.user:
            yield from _surroundings(places, manager, root)
    yield Step(
        what="service manager",
        done="told of the new units",
        due=lambda: manager.shows("syncd.service", "NeedDaemonReload").get("NeedDaemonReload") == "yes",
        act=lambda: manager.tell("daemon-reload"),
    )
    yield Step(
        what="syncd.service",
        done="enabled",
        due=lambda: not manager.says("is-enabled", "--quiet", "syncd.service"),
        act=lambda: manager.tell("enable", "--quiet", "syncd.service"),
    )
    if now:
        yield Step(
            what="syncd.service",
            done="started",
            due=lambda: not manager.says("is-active", "--quiet", "syncd.service"),
            act=lambda: manager.tell("start", "syncd.service"),
        )


def _surroundings(places: Places, manager: Manager, root: Path) -> Iterator[Step]:
    """Make the user, the folders and a first configuration."""
    yield Step(
        what=f"user and group {USER}",
        done="made",
        due=lambda: not user.exists(USER),
        act=lambda: manager.call("systemd-sysusers", str(root / "etc/sysusers.d/syncd.conf")),
    )
    yield Step(
        what=f"{places.config.parent} and {root / SPOOL}",
        done="made",
        due=lambda: not (places.config.parent.is_dir() and (root / SPOOL).is_dir()),
        act=lambda: manager.call("systemd-tmpfiles", "--create", str(root / "etc/tmpfiles.d/syncd.conf")),
    )
    yield Step(
        what=str(places.config),
        done="written; url, pool_id and token are yours to set there",
        due=lambda: not places.config.exists(),
        act=lambda: _write_config(places.config),
    )


def uninstall(places: Places, manager: Manager, *, purge: bool, root: Path = Path("/")) -> Iterator[Step]:
    """Stop the service and take it away; with ``purge`` what it knows, its configuration and its user too."""
    for unit in places.units():
        yield from _ended(unit, manager)
    for path in places.files:
        yield Step(what=str(path), done="removed", due=path.exists, act=path.unlink)
    yield Step(
        what="service manager",
        done="told of it",
        due=lambda: manager.shows("syncd.service", "LoadState").get("LoadState") not in ("not-found", None),
        act=lambda: manager.tell("daemon-reload"),
    )
    if purge:
        for path in places.kept:
            yield Step(what=str(path), done="removed", due=path.exists, act=partial(shutil.rmtree, path))
        if not places.user:
            yield from _purged(root / SPOOL, manager)


def _ended(unit: str, manager: Manager) -> Iterator[Step]:
    yield Step(
        what=unit,
        done="stopped",
        due=lambda: manager.shows(unit, "ActiveState").get("ActiveState", "inactive") not in ("inactive", "failed"),
        act=lambda: manager.tell("stop", unit),
    )
    yield Step(
        what=unit,
        done="disabled",
        due=lambda: manager.says("is-enabled", "--quiet", unit),
        act=lambda: manager.tell("disable", "--quiet", unit),
    )


def _purged(spool: Path, manager: Manager) -> Iterator[Step]:
    """Remove what belongs to the user, and it; never a file that was dropped."""
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
    """Write the packaged configuration, for root to change and for the group to read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8") as file:
        with suppress(KeyError):
            os.fchown(file.fileno(), 0, grp.getgrnam(USER).gr_gid)
        file.write(unit_files.text("config.yaml"))
