"""Generates the man page and the shell completions from the commands.

Usage: python packaging/share.py DIR
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from syncd import __version__
from syncd.cli import cli

DOCS = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
COMPLETIONS = {
    "bash": "bash-completion/completions/syncd",
    "zsh": "zsh/site-functions/_syncd",
    "fish": "fish/vendor_completions.d/syncd.fish",
}


def man_page() -> str:
    """Return syncd(1)."""
    context = click.Context(cli, info_name="syncd")
    return "\n".join(
        [
            f'.TH SYNCD 1 "" "syncd {__version__}" "User Commands"',
            ".SH NAME",
            "syncd \\- uploads images from watched folders, in the background",
            ".SH SYNOPSIS",
            ".B syncd",
            "[OPTION]... COMMAND [ARGUMENT]...",
            ".SH DESCRIPTION",
            *_paragraphs(cli.help),
            ".PP",
            "Run \\fBsyncd init\\fR, then \\fBcheck\\fR, then \\fBrun\\fR. \\fBctl\\fR controls the running daemon.",
            ".SH OPTIONS",
            *_options(cli, context),
            ".SH COMMANDS",
            *_commands(cli, context),
            ".SH EXIT STATUS",
            *_table("code"),
            ".SH ENVIRONMENT",
            *_table("variable"),
            ".SH FILES",
            *_entry("/etc/syncd/config.yaml", "The configuration of the system service."),
            *_entry("~/.config/syncd/config.yaml", "The configuration of your own daemon."),
            *_entry("/var/lib/syncd, ~/.local/state/syncd", "The job store."),
            *_entry("/run/syncd, $XDG_RUNTIME_DIR/syncd", "The control socket."),
            ".SH SEE ALSO",
            ".BR systemctl (1),",
            ".BR journalctl (1)",
            "",
        ]
    )


def _commands(group: click.Group, above: click.Context) -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=above)
        usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
        yield f'.SS "{_escaped(f"{context.command_path} {usage}".strip())}"'
        yield from _paragraphs(command.help)
        yield from _options(command, context)
        if isinstance(command, click.Group):
            yield from _commands(command, context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in record[0]:
            yield from _entry(*record)


def _table(heading: str) -> Iterator[str]:
    """Yield the rows of the reference's table whose first column has this heading."""
    text = DOCS.read_text(encoding="utf-8")
    rows = text.split(f"| {heading} | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    for row in rows.splitlines():
        name, meaning = (cell.strip().replace("`", "") for cell in row.strip("|").split("|"))
        yield from _entry(name, meaning)


def _entry(name: str, meaning: str) -> list[str]:
    return [".TP", f".B {_escaped(name)}", _escaped(meaning)]


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in (text or "").split("\n\n"):
        yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Return text escaped for roff, with hyphens that can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub(r"^([.'])", r"\\&\1", safe)


def main(folder: Path) -> None:
    """Write all files below ``folder``."""
    texts = {"man/man1/syncd.1": man_page()}
    for shell, name in COMPLETIONS.items():
        complete = get_completion_class(shell)
        assert complete is not None
        texts[name] = complete(cli, {}, "syncd", "_SYNCD_COMPLETE").source() + "\n"
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
