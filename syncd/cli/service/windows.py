r"""``syncd service`` on Windows: the service, for the whole machine; put in place, taken away, looked at, and run."""

import ctypes
import sys

import click

from syncd.cli.errors import Exit, Fault
from syncd.cli.options import examples
from syncd.cli.service.command import take
from syncd.config import paths
from syncd.platform.systemd.install import CommandFailed
from syncd.platform.windows import install as installation
from syncd.platform.windows import scm

assert sys.platform == "win32"


@click.group(epilog=examples("syncd service install --dry-run", "syncd service install --now", "syncd service status"))
def command() -> None:
    r"""Have Windows run the daemon, with the machine, whoever is logged in.

    It runs as NT SERVICE\syncd, an account of its own, and has its configuration in %ProgramData%\syncd\config.yaml.
    To install or remove it takes an administrator. Whatever is done already is left as it is.
    """


@command.command("install")
@click.option("--now", is_flag=True, help="Start it too.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def install(*, now: bool, dry_run: bool) -> None:
    """Put the service in place, and have it started with the machine."""
    _check(dry_run=dry_run)
    take(installation.install(now=now), dry_run=dry_run)
    if not now:
        click.echo(f'Next: edit {paths.SYSTEM_CONFIG}, try it with syncd check -c "{paths.SYSTEM_CONFIG}", then')
        click.echo("  syncd service install --now")


@command.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove state, logs and configuration as well.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def uninstall(*, purge: bool, dry_run: bool) -> None:
    """Stop the service and take it away. The state stays, so that a later install goes on where it was."""
    _check(dry_run=dry_run)
    take(installation.uninstall(purge=purge), dry_run=dry_run)
    folder = paths.SYSTEM_CONFIG.parent
    if not purge and folder.exists():
        click.echo(f"kept: {folder}")


@command.command("status")
def status() -> int:
    """Say whether the service is in place and running. Ends with 3 if it is not running."""
    try:
        shown = scm.show()
    except CommandFailed as error:
        raise Fault(str(error), code=Exit.UNAVAILABLE) from None
    click.echo(f"service {scm.NAME}: {shown or 'is not installed'}")
    return Exit.OK if shown and shown.state == "running" else Exit.NOT_RUNNING


@command.command("dispatch", hidden=True)
def dispatch() -> None:
    """Be the service: for the service manager of Windows alone."""
    from syncd.cli.service import windows_dispatch  # noqa: PLC0415 - for this command alone

    windows_dispatch.dispatch()


def _check(*, dry_run: bool) -> None:
    """Make sure that the service's account will find the program, and that the service manager will listen."""
    if sys.prefix != sys.base_prefix:
        raise Fault(
            f"{sys.prefix} is a virtual environment, which can't be a service: install Python for all users, and "
            "syncd into it",
            code=Exit.UNAVAILABLE,
        )
    if not dry_run and not ctypes.windll.shell32.IsUserAnAdmin():
        raise Fault("only an administrator can do that: open the shell as administrator", code=Exit.DENIED)
