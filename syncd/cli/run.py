"""``syncd run``: the daemon, in the foreground."""

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

import click

from syncd.cli.options import config_option, examples

if TYPE_CHECKING:
    from syncd.config.load import Loaded


@click.command(epilog=examples("syncd run", "syncd run -c photos.yaml"))
@config_option
def command(config: str | None) -> None:
    """Watch the folders and upload, until SIGTERM or Ctrl-C; logs to standard error.

    SIGHUP takes over a changed configuration. To talk to it: syncd ctl.
    """
    signal.signal(signal.SIGTERM, _end_unbegun)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is about to be read
    # Loading what follows takes most of the start: only now, so that a signal meanwhile finds the handlers.
    from syncd.cli.configuration import load  # noqa: PLC0415 - as above
    from syncd.cli.session import working  # noqa: PLC0415 - as above

    loaded = load(config)
    with working(loaded):
        asyncio.run(_run(loaded))


def _end_unbegun(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # an exception would be lost where it met a callback of the import system or the collector


async def _run(loaded: "Loaded") -> None:
    from syncd.daemon.daemon import Daemon  # noqa: PLC0415 - as above

    try:
        await Daemon(loaded).run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is as good as ended
