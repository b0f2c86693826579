"""``syncd restore``: downloads uploaded files to a folder.

``recovery.restore`` does the work; this module prints its report.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import click

from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import config_option, examples, json_option, paths_argument
from syncd.cli.progress import progress_display
from syncd.cli.state_folder import load_config, watched_paths
from syncd.paths import full
from syncd.platform import event_loop
from syncd.recovery.restore import Report, restore
from syncd.recovery.restore_folder import FolderInUseError

_NO_RECORD = "no record of uploads on this machine; copy a backup of the job store (syncd backup) into its state folder"


@click.command(epilog=examples("syncd restore --to back", "syncd restore --to back inbox/2026"))
@config_option
@paths_argument
@click.option("--to", "target", metavar="DIR", required=True, type=click.UNPROCESSED, help="The folder for the files.")
@json_option
def command(config: str | None, paths: Sequence[str], target: str, *, as_json: bool) -> int:
    """Download uploaded files to DIR, with their names and modification times.

    Restores the files at or below PATH, or all files. With several watched folders, each gets a folder with its name
    in DIR. Existing files are never overwritten: an identical file counts as present, another file is reported. After
    an interruption, run the command again. Exit code 0: every file is present; 1: some are not; 69: a server is
    unreachable.
    """
    loaded = load_config(config)
    scopes = watched_paths(loaded, paths)
    try:
        with progress_display(loaded, lock=False) as show:
            report = event_loop.run(restore(loaded.config, scopes, os.path.abspath(target), on_progress=show))
    except FolderInUseError as error:
        raise CommandError(str(error), code=ExitCode.BUSY) from None
    if as_json:
        ok = not (report.failed or report.unreachable)
        click.echo(json.dumps({"ok": ok, **dataclasses.asdict(report)}, ensure_ascii=False))
    else:
        for line in _summary_lines(report):
            click.echo(line)
    if report.failed:
        return ExitCode.FAILED
    return ExitCode.UNAVAILABLE if report.unreachable else ExitCode.OK


def _summary_lines(report: Report) -> Iterator[str]:
    done = [
        (report.restored, "restored"),
        (report.there, "already present"),
        (report.failed, "failed"),
        (report.unreachable, "unreachable"),
    ]
    nothing = "nothing was uploaded yet" if report.not_uploaded else _NO_RECORD
    numbers = ", ".join(f"{number:,} {word}" for number, word in done if number) or nothing
    fetched = (
        f"; {formatting.size(report.fetched)} fetched in {formatting.duration(report.seconds)}"
        if report.fetched
        else ""
    )
    yield numbers + fetched
    for problem in report.problems:
        yield formatting.clean(f"{full(problem.folder, problem.path)} {problem.state}: {problem.detail}")
    if report.not_uploaded:
        yield f"{formatting.count(report.not_uploaded, 'file')} not restored: the last version seen was never uploaded"
