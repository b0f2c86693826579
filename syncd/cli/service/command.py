"""``syncd service``: installs, removes and shows the systemd service.

``platform.systemd.install`` does the steps; ``service.windows`` is the command on Windows.
"""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import examples
from syncd.config import paths
from syncd.platform import user
from syncd.platform.systemd import install as installation
from syncd.platform.systemd import unit_files
from syncd.platform.systemd.install import CommandFailedError, Manager, Step
from syncd.platform.systemd.unit_files import InstallPaths

F = TypeVar("F", bound=Callable[..., Any])

SYSTEMD = "/run/systemd/system"
"""This folder exists if systemd is the init system."""
_HIDDEN_FOLDERS = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - compared, not used
"""Folders that its sandbox hides from the machine's service."""
_STATUS_PROPERTIES = (
    "LoadState",
    "FragmentPath",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "MainPID",
    "StatusText",
    "Result",
)


@click.group(
    epilog=examples(
        "syncd service install --user --dry-run", "sudo syncd service install --now", "syncd service status --user"
    )
)
def command() -> None:
    """Install the daemon as a systemd service, for the machine or for your user.

    The machine's service (--system) runs as the user syncd with the configuration /etc/syncd/config.yaml. Your service
    (--user) runs as you with the configuration in your configuration folder. The default is --system for root, and
    --user for others. Steps that are already done are skipped.
    """


def _scope(function: F) -> F:
    return click.option("--system/--user", "system", default=None, help="The machine's service, or your own.")(function)


def _dry_run(function: F) -> F:
    return click.option("--dry-run", is_flag=True, help="Print the steps without doing them.")(function)


@command.command("install")
@_scope
@click.option("--now", is_flag=True, help="Start the service too.")
@_dry_run
def install(*, system: bool | None, now: bool, dry_run: bool) -> None:
    """Install the service, and start it with the machine or with your session."""
    places, manager = _select(system, dry_run=dry_run)
    if not places.user and not places.packaged_unit():
        _check_program()
    if places.user and now and not dry_run and not places.config.exists():
        raise CommandError(f"{places.config} does not exist; write it with: syncd init", code=ExitCode.BAD_CONFIG)
    if packaged := places.packaged_unit():
        click.echo(f"{packaged}: installed by the package")
    apply_steps(installation.install(places, manager, program=unit_files.own_program(), now=now), dry_run=dry_run)
    if places.user and not user.lingers():
        click.echo("The service runs while you are logged in. To run it always: loginctl enable-linger")
    if not now:
        option = "--user" if places.user else "--system"
        click.echo(f"Next: edit {places.config}, check it with syncd check -c {places.config}, then run:")
        click.echo(f"  syncd service install {option} --now")


@command.command("uninstall")
@_scope
@click.option("--purge", is_flag=True, help="Remove state, logs, configuration and the user syncd as well.")
@_dry_run
def uninstall(*, system: bool | None, purge: bool, dry_run: bool) -> None:
    """Stop and remove the service.

    Without --purge, its state is kept for a later installation.
    """
    places, manager = _select(system, dry_run=dry_run)
    if packaged := places.packaged_unit():
        verb = "purge" if purge else "remove"
        raise CommandError(f"{packaged} belongs to a package; run: apt {verb} syncd", code=ExitCode.FAILED)
    apply_steps(installation.uninstall(places, manager, purge=purge), dry_run=dry_run)
    if not purge:
        click.echo(f"kept: {', '.join(str(path) for path in places.kept if path.exists()) or 'nothing'}")


@command.command("status")
@_scope
def status(*, system: bool | None) -> int:
    """Show whether the service is installed, enabled and running.

    Exit code 3: it is not running.
    """
    places, manager = _select(system, dry_run=True)
    _check_systemd()
    running = [_print_status(unit, manager.properties(unit, *_STATUS_PROPERTIES)) for unit in places.units()]
    return ExitCode.OK if any(running) else ExitCode.NOT_RUNNING


def _print_status(unit: str, shown: dict[str, str]) -> bool:
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


def apply_steps(steps: Iterable[Step], *, dry_run: bool) -> None:
    """Run the steps that are due, in order, and print the result of each.

    With ``dry_run``, print only what would be done. Raises :class:`CommandError` for a failed step.
    """
    try:
        for step in steps:
            if not step.due():
                click.echo(f"{step.what}: nothing to do")
            elif dry_run:
                click.echo(f"{step.what}: would be {step.done}")
            else:
                step.act()
                click.echo(f"{step.what}: {step.done}")
    except CommandFailedError as error:
        raise CommandError(formatting.clean(error), code=ExitCode.UNAVAILABLE) from None


def _select(system: bool | None, *, dry_run: bool) -> tuple[InstallPaths, Manager]:
    """Return the files and the manager of the chosen service.

    Without ``dry_run``, raises :class:`CommandError` if systemd or a right of the user is missing.
    """
    if system is None:
        system = user.is_root()
    if not dry_run:
        _check_systemd()
        if system and not user.is_root():
            raise CommandError("the machine's service requires root; use sudo or --user", code=ExitCode.DENIED)
    places = (
        unit_files.for_system() if system else unit_files.for_user(config=paths.user_config(), state=paths.state_dir())
    )
    return places, Manager(user=not system, run=installation.run)


def _check_systemd() -> None:
    if not os.path.isdir(SYSTEMD):
        raise CommandError(
            f"systemd is not running (no {SYSTEMD}); start the daemon with: syncd run",
            code=ExitCode.UNAVAILABLE,
        )


def _check_program() -> None:
    """Raise :class:`CommandError` if the service's sandbox hides this program."""
    path = os.path.realpath(sys.executable if sys.prefix == sys.base_prefix else sys.prefix)
    if path.startswith(_HIDDEN_FOLDERS):
        raise CommandError(
            f"the machine's service cannot read {path}; install syncd outside of home folders, such as in /opt/syncd",
            code=ExitCode.UNAVAILABLE,
        )
