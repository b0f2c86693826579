"""``syncd init``: a commented configuration, filled in as far as a few questions go."""

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

from syncd.cli.errors import Exit, Fault
from syncd.cli.options import examples
from syncd.config import paths
from syncd.config.load import ConfigError, load

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
"""A value that YAML takes as it is."""
_REMOTES = {"multipart": "drive", "image": "ascii"}
"""The example's remote of each type."""
_OPTIONS = {"folder": "folder", "kind": "type", "url": "url"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the new configuration is to say."""

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
@click.option("--type", "kind", type=click.Choice(list(_REMOTES)), help="Which API the server speaks.")
@click.option("--url", help="The server's address, as https://host.")
@click.option("--token-file", metavar="FILE", help="A file that holds the server's token and nothing else.")
@click.option("--pool-id", metavar="ID", help="The pool that files go to, a GUID or ULID; multipart only.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(file: str | None, *, force: bool, **given: str | None) -> None:
    """Write a commented configuration; asks on a terminal for what is not given.

    FILE is by default syncd/config.yaml in your configuration folder.
    """
    target = Path(file) if file else paths.user_config()
    if target.exists() and not force:
        raise Fault(f"{target} is there already: name another file, or say --force", code=Exit.FAILED)
    text = fill_in(example_text(), _ask(given))
    _write(target, text, force=force)
    option = f" -c {target}" if file else ""
    click.echo(f"{target} is written. Have a look at it, then:")
    for step in (f"syncd check{option}", f"syncd run{option}", f"syncd ctl{option} status"):
        click.echo(f"  {step}")


def _ask(given: dict[str, str | None]) -> Answers:
    """Complete what was given: by questions on a terminal, else it must be there."""
    asking = sys.stdin.isatty() and sys.stdout.isatty()

    def need(name: str, question: str, default: str | None = None, choice: click.Choice[str] | None = None) -> str:
        if answer := given[name]:
            return answer
        if not asking:
            raise click.UsageError(f"--{_OPTIONS[name]} is needed where nobody can be asked")
        return str(click.prompt(question, default=default, type=choice or str))

    folder = need("folder", "Which folder shall be watched?")
    kind = need("kind", "Which API does the server speak?", "multipart", click.Choice(list(_REMOTES)))
    url = need("url", "What is its address?", "http://127.0.0.1:4444")
    if kind != "multipart" and given["pool_id"]:
        raise click.UsageError("--pool-id is for --type multipart")
    pool_id, token_file = given["pool_id"], given["token_file"]
    if asking and kind == "multipart" and not pool_id:
        pool_id = _ask_for("Which pool shall files go to, a GUID or ULID? (the server's choice: Enter)")
    if asking and not token_file:
        token_file = _ask_for("Which file holds the server's token? (none: Enter)")
    return Answers(folder=folder, type=kind, url=url, token_file=token_file or None, pool_id=pool_id or None)


def _ask_for(question: str) -> str:
    """Ask for what may be left out."""
    return str(click.prompt(question, default="", show_default=False))


def fill_in(example: str, answers: Answers) -> str:
    """Return the example with the answers in it; its second folder and the other type's remote become comments."""
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
    """Give the first ``key`` from line ``start`` on another value; its comment stays."""
    pattern = re.compile(rf"(\s+(?:- )?{key}: )\S+")
    index = next(index for index in range(start, len(lines)) if pattern.match(lines[index]))
    lines[index] = pattern.sub(lambda match: match[1] + _scalar(value), lines[index], count=1)


def _comment_out(lines: list[str], beginning: str) -> None:
    """Put ``#:`` before each line of the entry that begins so, as the example does with keys that are left out."""
    index = _find(lines, beginning)
    while index < len(lines) and lines[index].strip():
        lines[index] = _commented(lines[index])
        index += 1


def _leave_out(lines: list[str], start: int, key: str) -> None:
    """Put ``#:`` before the first ``key`` from line ``start`` on."""
    index = next(index for index in range(start, len(lines)) if lines[index].lstrip().startswith(f"{key}: "))
    lines[index] = _commented(lines[index])


def _commented(line: str) -> str:
    body = line.lstrip()
    return line if body.startswith("#") else f"{line[: len(line) - len(body)]}#: {body}"


def _scalar(value: str) -> str:
    """Write a text as YAML that comes back as it was, through the expansion of variables too."""
    if _PLAIN.fullmatch(value):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Fault(f"{value}: a name that is not UTF-8 can't stand in YAML: rename it", code=Exit.FAILED) from None
    return json.dumps(value.replace("${", "$${"), ensure_ascii=False)


def _write(target: Path, text: str, *, force: bool) -> None:
    """Put the file in place in one step, for its owner's eyes alone, if it can be loaded."""
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
        raise Fault(*problems, "nothing was written", code=Exit.BAD_CONFIG) from None
    except FileExistsError:
        raise Fault(f"{target} is there already", code=Exit.FAILED) from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
