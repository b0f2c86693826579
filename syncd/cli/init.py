"""``syncd init``: writes the example configuration with the user's values.

On a terminal, :mod:`syncd.cli.init_questions` asks for the values, and ``syncd check`` runs at the end.
"""

import importlib
import json
import os
import re
import shlex
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click

from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import examples
from syncd.config import paths
from syncd.config.json_schema import PACKAGED
from syncd.config.load import ConfigError, load

_UNQUOTED = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
"""Values that need no quotes in YAML."""
REMOTES = {"multipart": "drive", "image": "ascii"}
"""The name of the example's remote of each type."""
OPTIONS = {"folder": "folder", "kind": "type", "url": "url", "token_file": "token-file", "pool_id": "pool-id"}
"""The option of each value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The values of the new configuration."""

    folder: str
    type: str
    url: str
    token_file: str | None = None
    pool_id: str | None = None


def example_text() -> str:
    """Return the commented example configuration, which has every key and is valid.

    ``config.example.yaml`` in the repository has the same text.
    """
    return files("syncd.config").joinpath("example.yaml").read_text(encoding="utf-8")


@click.command(
    epilog=examples("syncd init", "syncd init photos.yaml --folder ~/Photos --type image --url https://images.example")
)
@click.argument("file", required=False)
@click.option("--folder", metavar="DIR", help="The folder to watch.")
@click.option("--type", "kind", type=click.Choice(list(REMOTES)), help="The API of the server.")
@click.option("--url", help="The server's address, as https://host.")
@click.option("--token-file", metavar="FILE", help="A file that contains only the server's token.")
@click.option("--pool-id", metavar="ID", help="The pool for the files, a GUID or ULID; multipart only.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def command(file: str | None, *, force: bool, **given: str | None) -> None:
    """Write a commented configuration. On a terminal, ask for missing values.

    FILE defaults to syncd/config.yaml in your configuration folder.
    """
    target = Path(file) if file else paths.user_config()
    if target.exists() and not force:
        raise CommandError(f"{target} already exists; choose another file, or use --force", code=ExitCode.FAILED)
    if given["pool_id"] and given["kind"] not in (None, "multipart"):
        raise click.UsageError("--pool-id requires --type multipart")
    missing = not (given["folder"] and given["kind"] and given["url"])
    interactive = missing and sys.stdin.isatty() and sys.stdout.isatty()
    answers = _ask(given, file) if interactive else _given(given)
    _write(target, _schema_line() + fill_in(example_text(), answers), force=force)
    option = f" -c {target}" if file else ""
    steps = [f"syncd check{option}", f"syncd run{option}", f"syncd ctl{option} status"]
    if not interactive:
        _print_left_out(target)
        click.echo(f"Wrote {target}. Review it, then run:")
    else:
        click.echo(f"Wrote {target}.")
        if _check(target):
            click.echo("Next:")
            del steps[0]
        else:
            click.echo("Fix the errors above, then run:")
    for step in steps:
        click.echo(f"  {step}")


def _print_left_out(config: Path) -> None:
    """Print how many videos the patterns of the new configuration leave out."""
    from syncd.cli.check.folders import check_videos  # noqa: PLC0415 - slow to import

    for folder in load(config).config.folders:
        if note := check_videos(folder):
            click.echo(f"Note: {note.where}: {note.what}; {note.advice}")


def _schema_line() -> str:
    """Return the comment that tells editors where the JSON Schema is.

    Returns an empty string if the package has no schema.
    """
    return f"# yaml-language-server: $schema={PACKAGED.as_uri()}\n" if PACKAGED.exists() else ""


def _given(given: dict[str, str | None]) -> Answers:
    """Return the values of the options.

    Raises :class:`click.UsageError` for a missing value.
    """
    for name in ("folder", "kind", "url"):
        if not given[name]:
            raise click.UsageError(f"--{OPTIONS[name]} is required without a terminal")
    return Answers(
        folder=str(given["folder"]),
        type=str(given["kind"]),
        url=str(given["url"]),
        token_file=given["token_file"],
        pool_id=given["pool_id"],
    )


def _ask(given: dict[str, str | None], file: str | None) -> Answers:
    """Ask for the missing values.

    If the user stops, the error names the answers so far.
    """
    questions = importlib.import_module("syncd.cli.init_questions").Questions(given)  # slow to import
    try:
        questions.ask()
    except (click.Abort, KeyboardInterrupt):
        click.echo()
        options = [*([file] if file else []), *questions.options()]
        kept = f"; continue with: {shlex.join(['syncd', 'init', *options])}" if questions.options() else ""
        raise CommandError(f"nothing was written{kept}", code=ExitCode.INTERRUPTED) from None
    return _given(questions.answers)


def _check(target: Path) -> bool:
    """Run ``syncd check`` for the new configuration; return whether it would work."""
    click.echo("Checking it:")
    check = importlib.import_module("syncd.cli.check.command").command  # slow to import
    return bool(check.main(["-c", str(target)], prog_name="syncd check", standalone_mode=False) == ExitCode.OK)


def fill_in(example: str, answers: Answers) -> str:
    """Return the text of ``example`` with ``answers`` filled in.

    The second folder and the remote of the other type become comments.
    """
    remote = REMOTES[answers.type]
    lines = example.splitlines()
    _comment_out_entry(lines, "  - path: ascii-art")
    for other in REMOTES.values():
        if other != remote:
            _comment_out_entry(lines, f"  {other}:")
    _set(lines, 0, "path", os.path.abspath(os.path.expanduser(answers.folder)))
    _set(lines, 0, "remote", remote)
    at = _find(lines, f"  {remote}:")
    _set(lines, at, "url", answers.url)
    if answers.pool_id:
        _set(lines, at, "pool_id", answers.pool_id)
    elif answers.type == "multipart":
        _comment_out_key(lines, at, "pool_id")
    if answers.token_file:
        token_file = os.path.abspath(os.path.expanduser(answers.token_file))
        lines.insert(_find(lines, "    url: ", at) + 1, f"    token_file: {_scalar(token_file)}")
    return "\n".join(lines) + "\n"


def _find(lines: list[str], prefix: str, start: int = 0) -> int:
    return next(index for index in range(start, len(lines)) if lines[index].startswith(prefix))


def _set(lines: list[str], start: int, key: str, value: str) -> None:
    """Replace the value of the first ``key`` from line ``start`` on; keep its comment."""
    pattern = re.compile(rf"(\s+(?:- )?{key}: )\S+")
    index = next(index for index in range(start, len(lines)) if pattern.match(lines[index]))
    lines[index] = pattern.sub(lambda match: match[1] + _scalar(value), lines[index], count=1)


def _comment_out_entry(lines: list[str], prefix: str) -> None:
    """Put ``#:``, the example's mark for unset keys, before each line of an entry.

    The entry starts with the first line that begins with ``prefix``, and ends before an empty line.
    """
    index = _find(lines, prefix)
    while index < len(lines) and lines[index].strip():
        lines[index] = _commented(lines[index])
        index += 1


def _comment_out_key(lines: list[str], start: int, key: str) -> None:
    """Put ``#:`` before the first ``key`` at or after line ``start``."""
    index = next(index for index in range(start, len(lines)) if lines[index].lstrip().startswith(f"{key}: "))
    lines[index] = _commented(lines[index])


def _commented(line: str) -> str:
    body = line.lstrip()
    return line if body.startswith("#") else f"{line[: len(line) - len(body)]}#: {body}"


def _scalar(value: str) -> str:
    """Return ``value`` as a YAML scalar, with variables escaped."""
    if _UNQUOTED.fullmatch(value):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CommandError(
            f"{value}: YAML cannot contain a name that is not UTF-8; rename the file or folder", code=ExitCode.FAILED
        ) from None
    return json.dumps(value.replace("${", "$${"), ensure_ascii=False)


def _write(target: Path, text: str, *, force: bool) -> None:
    """Check that the configuration is valid, then write it atomically with mode 0600.

    Raises :class:`CommandError` if it is invalid, or if ``target`` exists without ``force``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        load(Path(name))
        if force:
            os.replace(name, target)
        else:
            os.link(name, target)
    except ConfigError as error:
        problems = [f"{problem.key}: {problem.message}" for problem in error.problems]
        raise CommandError(*problems, "nothing was written", code=ExitCode.BAD_CONFIG) from None
    except FileExistsError:
        raise CommandError(f"{target} already exists; use --force to overwrite it", code=ExitCode.FAILED) from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
