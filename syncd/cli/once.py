"""``syncd once``: scans the folders and uploads in a single pass.

``daemon.once`` does the work; this module prints its summary.
"""

import dataclasses
import json
from collections.abc import Iterator

import click

from syncd.cli import formatting
from syncd.cli.errors import ExitCode
from syncd.cli.options import config_option, examples, json_option
from syncd.cli.progress import progress_display
from syncd.cli.state_folder import load_config
from syncd.config.load import Loaded
from syncd.daemon.once import Summary, once
from syncd.paths import full
from syncd.platform import event_loop


@click.command(epilog=examples("syncd once", "syncd once --json -c photos.yaml"))
@config_option
@json_option
def command(config: str | None, *, as_json: bool) -> int:
    """Scan the folders, upload all files that are due, then exit.

    Shows a progress bar on a terminal, and logs to standard error elsewhere. Exit code 0: every file has arrived; 1:
    some have not.
    """
    loaded = load_config(config)
    summary = _run(loaded)
    if as_json:
        click.echo(json.dumps({"ok": _succeeded(summary), **dataclasses.asdict(summary)}, ensure_ascii=False))
    else:
        for line in _summary_lines(summary):
            click.echo(line)
    return ExitCode.OK if _succeeded(summary) else ExitCode.FAILED


def _run(loaded: Loaded) -> Summary:
    with progress_display(loaded, lock=True) as show:
        return event_loop.run(once(loaded.config, on_progress=show))


def _succeeded(summary: Summary) -> bool:
    return not (summary.failed or summary.left or summary.unscanned or summary.unreachable)


def _summary_lines(summary: Summary) -> Iterator[str]:
    done = [
        (summary.uploaded, "uploaded"),
        (summary.duplicate, "already on the server"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
        (summary.left, "left for the next run"),
        (summary.unscanned, "not scanned"),
    ]
    numbers = ", ".join(f"{number:,} {word}" for number, word in done if number) or "nothing to do"
    yield numbers + (
        f"; {formatting.size(summary.sent)} sent in {formatting.duration(summary.seconds)}" if summary.sent else ""
    )
    if summary.left_out:
        yield formatting.left_out(summary.left_out, summary.left_out_videos)
    for problem in summary.problems:
        detail = f": {problem.detail}" if problem.detail else ""
        yield formatting.clean(f"{full(problem.folder, problem.path)} to {problem.remote} {problem.state}{detail}")
    for name in summary.unreachable:
        yield f"remote {formatting.clean(name)} is unreachable; find the cause with: syncd check"
