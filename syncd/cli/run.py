"""``syncd run``: runs :class:`syncd.daemon.daemon.Daemon` in the foreground."""

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING

import click

from syncd.cli.imports import paused_collector, skipped_parts
from syncd.cli.options import config_option, examples
from syncd.platform import event_loop, signals

if TYPE_CHECKING:
    from syncd.daemon.daemon import Daemon


@click.command(epilog=examples("syncd run", "syncd run -c photos.yaml"))
@config_option
def command(config: str | None) -> None:
    """Watch the folders and upload until SIGTERM or Ctrl-C. Logs to standard error.

    SIGHUP reloads the configuration. Control the daemon with syncd ctl.
    """
    signal.signal(signal.SIGTERM, _exit_before_start)
    for number in signals.RELOAD:
        signal.signal(number, signal.SIG_IGN)  # the configuration is read below
    with paused_collector(), skipped_parts():
        # These imports take most of the start time, so the handlers above are set first.
        from syncd.cli.state_folder import load_config, open_locked  # noqa: PLC0415 - see above
        from syncd.daemon.daemon import Daemon  # noqa: PLC0415 - see above

    loaded = load_config(config)
    with open_locked(loaded):
        event_loop.run(_run(Daemon(loaded)))


def _exit_before_start(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # the import system or the garbage collector could swallow an exception


async def _run(daemon: "Daemon") -> None:
    try:
        await daemon.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the daemon has shut down; only the exit is left
