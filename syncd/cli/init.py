"""``syncd init``: writes a commented configuration from the packaged example and the user's answers."""

import json
import os
import re
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
from syncd.config.load import ConfigError, load

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
"""A value that needs no quotes in YAML."""
_REMOTES = {"multipart": "drive", "image": "ascii"}
"""The remote of each type in the example."""
_OPTIONS = {"folder": "folder", "kind": "type", "url": "url"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The values of the new configuration."""

    folder: str
    type: str
    url: str
    token_file: str | None = None
    pool_id: str | None = None


def example_text() -> str:
    """Return the commented example configuration. It has every key and loads as it is.

    config.example.yaml in the repository has the same text.
    """
    return files("syncd.config").joinpath("example.yaml").read_text(encoding="utf-8")


@click.command(
    epilog=examples("syncd init", "syncd init photos.yaml --folder ~/Photos --type image --url https://images.example")
)
@click.argument("file", required=False)
@click.option("--folder", metavar="DIR", help="The folder to watch.")
@click.option("--type", "kind", type=click.Choice(list(_REMOTES)), help="The API of the server.")
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
        raise CommandError(f"{target} already exists; give another file, or use --force", code=ExitCode.FAILED)
    text = fill_in(example_text(), _ask(given))
    _write(target, text, force=force)
    option = f" -c {target}" if file else ""
    click.echo(f"Wrote {target}. Review it, then run:")
    for step in (f"syncd check{option}", f"syncd run{option}", f"syncd ctl{option} status"):
        click.echo(f"  {step}")


def _ask(given: dict[str, str | None]) -> Answers:
    """Ask for the missing values on a terminal; elsewhere a missing value is a usage error."""
    asking = sys.stdin.isatty() and sys.stdout.isatty()

    def need(name: str, question: str, default: str | None = None, choice: click.Choice[str] | None = None) -> str:
        if answer := given[name]:
            return answer
        if not asking:
            raise click.UsageError(f"--{_OPTIONS[name]} is required without a terminal")
        return str(click.prompt(question, default=default, type=choice or str))

    folder = need("folder", "Folder to watch")
    kind = need("kind", "API of the server", "multipart", click.Choice(list(_REMOTES)))
    url = need("url", "Address of the server", "http://127.0.0.1:4444")
    if kind != "multipart" and given["pool_id"]:
        raise click.UsageError("--pool-id requires --type multipart")
    pool_id, token_file = given["pool_id"], given["token_file"]
    if asking and kind == "multipart" and not pool_id:
        pool_id = _ask_for("Pool for the files, a GUID or ULID (Enter: the server chooses)")
    if asking and not token_file:
        token_file = _ask_for("File with the server's token (Enter: no token)")
    return Answers(folder=folder, type=kind, url=url, token_file=token_file or None, pool_id=pool_id or None)


def _ask_for(question: str) -> str:
    """Ask for an optional value."""
    return str(click.prompt(question, default="", show_default=False))


def fill_in(example: str, answers: Answers) -> str:
    """Return ``example`` with ``answers`` filled in.

    The second folder and the remote of the other type become comments.
    """
    remote = _REMOTES[answers.type]
    lines = example.splitlines()
    _comment_out(lines, "  - path: ascii-art")
    for other in _REMOTES.values():
        if other != remote:
            _comment_out(lines, f"  {other}:")
    _set(lines, 0, "path", os.path.abspath(os.path.expanduser(answers.folder)))
    _set(lines, 0, "remote", remote)
    at = _find(lines, f"  {remote}:")
    _set(lines, at, "url", answers.url)
    if answers.pool_id:
        _set(lines, at, "pool_id", answers.pool_id)
    elif answers.type == "multipart":
        _leave_out(lines, at, "pool_id")
    if answers.token_file:
        token_file = os.path.abspath(os.path.expanduser(answers.token_file))
        lines.insert(_find(lines, "    url: ", at) + 1, f"    token_file: {_scalar(token_file)}")
    return "\n".join(lines) + "\n"


def _find(lines: list[str], beginning: str, start: int = 0) -> int:
    return next(index for index in range(start, len(lines)) if lines[index].startswith(beginning))


def _set(lines: list[str], start: int, key: str, value: str) -> None:
    """Replace the value of the first ``key`` at or after line ``start``, but keep its comment."""
    pattern = re.compile(rf"(\s+(?:- )?{key}: )\S+")
    index = next(index for index in range(start, len(lines)) if pattern.match(lines[index]))
    lines[index] = pattern.sub(lambda match: match[1] + _scalar(value), lines[index], count=1)


def _comment_out(lines: list[str], beginning: str) -> None:
    """Put ``#:`` before each line of the entry that starts with ``beginning``, as the example does for unset keys."""
    index = _find(lines, beginning)
    while index < len(lines) and lines[index].strip():
        lines[index] = _commented(lines[index])
        index += 1


def _leave_out(lines: list[str], start: int, key: str) -> None:
    """Put ``#:`` before the first ``key`` at or after line ``start``."""
    index = next(index for index in range(start, len(lines)) if lines[index].lstrip().startswith(f"{key}: "))
    lines[index] = _commented(lines[index])


def _commented(line: str) -> str:
    body = line.lstrip()
    return line if body.startswith("#") else f"{line[: len(line) - len(body)]}#: {body}"


def _scalar(value: str) -> str:
    """Return ``value`` as a YAML scalar that loads unchanged, also after the expansion of variables."""
    if _PLAIN.fullmatch(value):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CommandError(
            f"{value}: YAML cannot contain a name that is not UTF-8; rename the file or folder", code=ExitCode.FAILED
        ) from None
    return json.dumps(value.replace("${", "$${"), ensure_ascii=False)


def _write(target: Path, text: str, *, force: bool) -> None:
    """Write ``target`` atomically, readable by its owner only, after checking that the configuration loads."""
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
        raise CommandError(f"{target} already exists", code=ExitCode.FAILED) from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
