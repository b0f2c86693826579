"""``syncd service``: the systemd unit, for the machine or for one user; put in place, taken away, looked at."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from syncd.cli import formatting
from syncd.cli.errors import Exit, Fault
from syncd.cli.options import examples
from syncd.config import paths
from syncd.platform import user
from syncd.platform.systemd import install as installation
from syncd.platform.systemd import unit_files
from syncd.platform.systemd.install import CommandFailed, Manager, Step
from syncd.platform.systemd.unit_files import Places

F = TypeVar("F", bound=Callable[..., Any])

SYSTEMD = "/run/systemd/system"
"""Is there where systemd runs the machine."""
_HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - told apart, not used
"""What the system's service does not see."""
_SHOWN = ("LoadState", "FragmentPath", "UnitFileState", "ActiveState", "SubState", "MainPID", "StatusText", "Result")


@click.group(
    epilog=examples(
        "syncd service install --user --dry-run", "sudo syncd service install --now", "syncd service status --user"
    )
)
def command() -> None:
    """Have systemd run the daemon: for the whole machine, or for you alone.

    The system's service has a user of its own, syncd, and its configuration in /etc/syncd/config.yaml; yours runs as
    you, with the configuration in your configuration folder. Without --system or --user: the system's for root, else
    yours. Whatever is done already is left as it is.
    """


def _scope(function: F) -> F:
    return click.option("--system/--user", "system", default=None, help="For the machine, or for you alone.")(function)


def _dry_run(function: F) -> F:
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(function)


@command.command("install")
@_scope
@click.option("--now", is_flag=True, help="Start it too.")
@_dry_run
def install(*, system: bool | None, now: bool, dry_run: bool) -> None:
    """Put the service in place, and have it started with the machine, or with your session."""
    places, manager = _surroundings(system, dry_run=dry_run)
    if not places.user and not places.packaged_unit():
        _check_program()
    if places.user and now and not dry_run and not places.config.exists():
        raise Fault(f"there is no {places.config} yet: write it with syncd init", code=Exit.BAD_CONFIG)
    if packaged := places.packaged_unit():
        click.echo(f"{packaged}: comes with the package")
    take(installation.install(places, manager, program=unit_files.own_program(), now=now), dry_run=dry_run)
    if places.user and not user.lingers():
        click.echo("It runs while you are logged in. To have it always: loginctl enable-linger")
    if not now:
        option = "--user" if places.user else "--system"
        click.echo(f"Next: edit {places.config}, try it with syncd check -c {places.config}, then")
        click.echo(f"  syncd service install {option} --now")


@command.command("uninstall")
@_scope
@click.option("--purge", is_flag=True, help="Remove state, logs, configuration and the user syncd as well.")
@_dry_run
def uninstall(*, system: bool | None, purge: bool, dry_run: bool) -> None:
    """Stop the service and take it away. The state stays, so that a later install goes on where it was."""
    places, manager = _surroundings(system, dry_run=dry_run)
    if packaged := places.packaged_unit():
        verb = "purge" if purge else "remove"
        raise Fault(f"{packaged} comes with a package: apt {verb} syncd", code=Exit.FAILED)
    take(installation.uninstall(places, manager, purge=purge), dry_run=dry_run)
    if not purge:
        click.echo(f"kept: {', '.join(str(path) for path in places.kept if path.exists()) or 'nothing was there'}")


@command.command("status")
@_scope
def status(*, system: bool | None) -> int:
    """Say whether the service is in place, enabled and running. Ends with 3 if it is not running."""
    places, manager = _surroundings(system, dry_run=True)
    _check_systemd()
    running = [_tell(unit, manager.shows(unit, *_SHOWN)) for unit in places.units()]
    return Exit.OK if any(running) else Exit.NOT_RUNNING


def _tell(unit: str, shown: dict[str, str]) -> bool:
    if shown.get("LoadState") != "loaded":
        click.echo(f"{unit}: is not installed")
        return False
    active = shown["ActiveState"] in ("active", "reloading")
    how = f"{shown['ActiveState']} ({shown['SubState']})"
    if active:
        how += f", pid {shown['MainPID']}: {formatting.clean(shown['StatusText'])}"
    elif shown["Result"] != "success":
        how += f", {shown['Result']}: see journalctl -u {unit}"
    click.echo(f"{unit}: {how}")
    click.echo(f"  {shown['FragmentPath']}, {shown['UnitFileState'] or 'not enabled'}")
    return active


def take(steps: Iterable[Step], *, dry_run: bool) -> None:
    """Take the steps that are due, one after the other, and say each."""
    try:
        for step in steps:
            if not step.due():
                click.echo(f"{step.what}: nothing to do")
            elif dry_run:
                click.echo(f"{step.what}: would be {step.done}")
            else:
                step.act()
                click.echo(f"{step.what}: {step.done}")
    except CommandFailed as error:
        raise Fault(formatting.clean(error), code=Exit.UNAVAILABLE) from None


def _surroundings(system: bool | None, *, dry_run: bool) -> tuple[Places, Manager]:
    """Return the places and the manager that are meant; a fault where nothing can be done to them."""
    if system is None:
        system = user.is_root()
    if not dry_run:
        _check_systemd()
        if system and not user.is_root():
            raise Fault("the system's service is root's: say sudo, or --user for your own", code=Exit.DENIED)
    places = (
        unit_files.for_system() if system else unit_files.for_user(config=paths.user_config(), state=paths.state_dir())
    )
    return places, Manager(user=not system, run=installation.run)


def _check_systemd() -> None:
    if not os.path.isdir(SYSTEMD):
        raise Fault(f"systemd does not run this machine (there is no {SYSTEMD}): syncd run", code=Exit.UNAVAILABLE)


def _check_program() -> None:
    """Make sure that the service's user will find the program."""
    path = os.path.realpath(sys.executable if sys.prefix == sys.base_prefix else sys.prefix)
    if path.startswith(_HIDDEN):
        raise Fault(
            f"{path} can't be seen by the system's service: install syncd outside of homes, as in /opt/syncd",
            code=Exit.UNAVAILABLE,
        )
