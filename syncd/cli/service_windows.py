r"""``syncd service`` on Windows: the service, for the whole machine; put in place, taken away, looked at, and run."""

import asyncio
import ctypes
import os
import sys
from typing import TYPE_CHECKING

import click
import servicemanager
import win32service
import win32serviceutil

from syncd.cli.faults import Exit, Fault
from syncd.cli.options import examples
from syncd.cli.service import take
from syncd.config import paths
from syncd.host import windows_service

if TYPE_CHECKING:
    from syncd.daemon.service import Daemon

assert sys.platform == "win32"

STOPPING = 15_000
"""Milliseconds that uploads in flight may take to reach a chunk boundary, as Windows is told."""


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
    take(windows_service.install(now=now), dry_run=dry_run)
    if not now:
        click.echo(f'Next: edit {paths.SYSTEM_CONFIG}, try it with syncd check -c "{paths.SYSTEM_CONFIG}", then')
        click.echo("  syncd service install --now")


@command.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove state, logs and configuration as well.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def uninstall(*, purge: bool, dry_run: bool) -> None:
    """Stop the service and take it away. The state stays, so that a later install goes on where it was."""
    _check(dry_run=dry_run)
    take(windows_service.uninstall(purge=purge), dry_run=dry_run)
    folder = paths.SYSTEM_CONFIG.parent
    if not purge and folder.exists():
        click.echo(f"kept: {folder}")


@command.command("status")
def status() -> int:
    """Say whether the service is in place and running. Ends with 3 if it is not running."""
    shown = windows_service.show()
    if shown is None:
        click.echo("service syncd: is not installed")
        return Exit.NOT_RUNNING
    running = shown.state == "running"
    click.echo(f"service syncd: {shown.state}" + (f", pid {shown.pid}" if running else ": see the event log"))
    return Exit.OK if running else Exit.NOT_RUNNING


@command.command("dispatch", hidden=True)
def dispatch() -> None:
    """Be the service: for the service manager of Windows alone."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a service has no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
    servicemanager.Initialize(windows_service.NAME, None)
    servicemanager.PrepareToHostSingle(Service)
    servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]


class Service(win32serviceutil.ServiceFramework):
    """The daemon as the service manager starts and stops it; its methods are named by pywin32."""

    _svc_name_ = windows_service.NAME

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._daemon: Daemon | None = None
        self._ending = False

    def SvcDoRun(self) -> None:  # noqa: N802 - pywin32's name
        """Run the daemon to its end. What is raised makes Windows start it again, and is in the event log."""
        # What follows takes long to load: only now, for Windows does not wait long for a service to show up.
        from syncd.cli.configuration import load  # noqa: PLC0415 - as above
        from syncd.cli.working import working  # noqa: PLC0415 - as above
        from syncd.daemon.service import Daemon  # noqa: PLC0415 - as above

        try:
            loaded = load(str(paths.SYSTEM_CONFIG))
            with working(loaded):
                asyncio.run(self._run(Daemon(loaded)))
        except Fault as fault:
            servicemanager.LogErrorMsg("\n".join(fault.lines))
            raise

    def SvcStop(self) -> None:  # noqa: N802 - pywin32's name
        """Have the daemon end."""
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=STOPPING)
        self._ending = True
        if self._loop and self._daemon:
            self._loop.call_soon_threadsafe(self._daemon.end)

    SvcShutdown = SvcStop

    async def _run(self, daemon: "Daemon") -> None:
        self._daemon, self._loop = daemon, asyncio.get_running_loop()
        if self._ending:
            daemon.end()
        await daemon.run()


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
