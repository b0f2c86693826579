"""``syncd backup``: copies the job store and the configuration to one file.

``recovery.backup`` does the work; this module prints what the file contains.
"""

import os

import click

from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import config_option, examples
from syncd.cli.state_folder import load_config, open_readonly
from syncd.recovery.backup import CONFIG, REMOVED, STORE, back_up


@click.command(epilog=examples("syncd backup syncd-backup.tar", "syncd backup -c photos.yaml /mnt/nas/photos.tar"))
@config_option
@click.argument("file", type=click.UNPROCESSED)
def command(config: str | None, file: str) -> int:
    """Copy the job store and configuration to FILE, a tar archive only you can read.

    The daemon may run. FILE holds no secret; an existing FILE is replaced. Copy syncd.db from it into the state folder
    of a new machine, and nothing is uploaded again.
    """
    loaded = load_config(config)
    if os.path.isdir(file):
        raise CommandError(f"{file}: is a folder; give the name of a file in it", code=ExitCode.USAGE)
    try:
        with open_readonly(loaded):
            done = back_up(loaded, file)
    except OSError as error:
        problem = f"{file}: the backup cannot be written: {error.strerror}"
        raise CommandError(f"{problem}; give a file in a folder with space", code=ExitCode.UNAVAILABLE) from None
    click.echo(f"{formatting.clean(file)}: {formatting.size(done.size)}, with")
    click.echo(f"  {STORE}: the job store, with the name and the hash of each file; copy it into the state folder")
    secrets = f'; {formatting.count(done.secrets, "secret")} "{REMOVED}"' if done.secrets else ""
    click.echo(f"  {CONFIG}: the configuration without comments{secrets}; token files are not in the backup")
    return ExitCode.OK
