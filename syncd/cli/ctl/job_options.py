"""Interprets the options of commands on jobs that need more than a value.

The commands are ``syncd ctl jobs``, ``retry`` and ``cancel``.
"""

import os
import sys

import click

from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.formatting import clean
from syncd.control.client import ControlClient
from syncd.control.job_targets import Target, decode_target
from syncd.control.schemas import FolderStatus

UNFINISHED = ("queued", "uploading", "waiting")


def target(text: str) -> Target:
    """Return the job's id or the absolute path that ``text`` names."""
    if text.isascii() and text.isdigit():
        return int(text)
    return os.path.abspath(text)


def watched_folder(client: ControlClient, name: str) -> str:
    """Return the path of the watched folder that ``name`` names.

    ``name`` is the path, or the last parts of it. Raises :class:`CommandError` if there is none, or more than one.
    """
    folders = client.status()["folders"]
    end = os.sep + os.path.normpath(name)
    matches = [folder for folder in folders if _path(folder) == os.path.abspath(name)]
    matches = matches or [folder for folder in folders if _path(folder).endswith(end)]
    if len(matches) == 1:
        return _path(matches[0])
    paths = ", ".join(clean(folder["path"]) for folder in matches or folders)
    if matches:
        problem = f"{clean(name)} names several watched folders; write the path of one: {paths}"
    else:
        problem = f"{clean(name)} is not a watched folder; the watched folders are: {paths}"
    raise CommandError(problem, code=ExitCode.FAILED)


def confirm_cancel_all(client: ControlClient) -> bool:
    """Ask on a terminal whether to cancel all unfinished jobs.

    Raises :class:`click.UsageError` without a terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--all asks for confirmation, but there is no terminal; add --yes")
    jobs = client.status()["jobs"]
    number = formatting.count(sum(jobs.get(state, 0) for state in UNFINISHED), "unfinished job")
    return click.confirm(f"Cancel {number}? syncd uploads their files only after: syncd ctl retry --state skipped")


def _path(folder: FolderStatus) -> str:
    return str(decode_target(folder["uri"]))
