"""``syncd service`` on Windows: installs, removes and shows the Windows service.

``platform.windows.install`` does the steps; ``service.windows_dispatch`` is the service process.
"""

import ctypes
import sys

import click

from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import examples
from syncd.cli.service.command import apply_steps
from syncd.config import paths
from syncd.platform.systemd.install import CommandFailedError
from syncd.platform.windows import install as installation
from syncd.platform.windows import scm

assert sys.platform == "win32"


@click.group(epilog=examples("syncd service install --dry-run", "syncd service install --now", "syncd service status"))
def command() -> None:
    r"""Install the daemon as a Windows service that starts with the machine.

    The service runs as the account NT SERVICE\syncd with the configuration %ProgramData%\syncd\config.yaml. Only an
    administrator can install or remove it. Steps that are already done are skipped.
    """


@command.command("install")
@click.option("--now", is_flag=True, help="Start the service too.")
@click.option("--dry-run", is_flag=True, help="Print the steps without doing them.")
def install(*, now: bool, dry_run: bool) -> None:
    """Install the service, and start it with the machine."""
    _check(dry_run=dry_run)
    apply_steps(installation.install(now=now), dry_run=dry_run)
    if not now:
        click.echo(f'Next: edit {paths.SYSTEM_CONFIG}, check it with syncd check -c "{paths.SYSTEM_CONFIG}", then run:')
        click.echo("  syncd service install --now")


@command.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove state, logs and configuration as well.")
@click.option("--dry-run", is_flag=True, help="Print the steps without doing them.")
def uninstall(*, purge: bool, dry_run: bool) -> None:
    """Stop and remove the service.

    Without --purge, its state is kept for a later installation.
    """
    _check(dry_run=dry_run)
    apply_steps(installation.uninstall(purge=purge), dry_run=dry_run)
    folder = paths.SYSTEM_CONFIG.parent
    if not purge and folder.exists():
        click.echo(f"kept: {folder}")


@command.command("status")
def status() -> int:
    """Show whether the service is installed and running.

    Exit code 3: it is not running.
    """
    try:
        shown = scm.show()
    except CommandFailedError as error:
        raise CommandError(str(error), code=ExitCode.UNAVAILABLE) from None
    click.echo(f"service {scm.NAME}: {shown or 'is not installed'}")
    return ExitCode.OK if shown and shown.state == "running" else ExitCode.NOT_RUNNING


@command.command("dispatch", hidden=True)
def dispatch() -> None:
    """Run the service process; only the service manager calls this."""
    from syncd.cli.service import windows_dispatch  # noqa: PLC0415 - only this command needs it

    windows_dispatch.dispatch()


def _check(*, dry_run: bool) -> None:
    """Raise :class:`CommandError` if the service cannot be installed.

    It cannot run a Python of a virtual environment, and an installation requires an administrator.
    """
    if sys.prefix != sys.base_prefix:
        raise CommandError(
            f"{sys.prefix} is a virtual environment, which cannot run as a service; install Python for all users, "
            "and syncd into it",
            code=ExitCode.UNAVAILABLE,
        )
    if not dry_run and not ctypes.windll.shell32.IsUserAnAdmin():
        raise CommandError("permission denied; open the shell as administrator", code=ExitCode.DENIED)
