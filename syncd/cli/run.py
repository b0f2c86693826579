"""``syncd run``: the daemon, in the foreground."""

import asyncio

import click

from syncd.cli.configuration import load
from syncd.cli.options import config_option, examples
from syncd.cli.working import working
from syncd.daemon.service import Daemon


@click.command(epilog=examples("syncd run", "syncd run -c photos.yaml"))
@config_option
def command(config: str | None) -> None:
    """Watch the folders and upload, until SIGTERM or Ctrl-C; logs to standard error.

    SIGHUP takes over a changed configuration. To talk to it: syncd ctl.
    """
    loaded = load(config)
    with working(loaded):
        asyncio.run(Daemon(loaded).run())
