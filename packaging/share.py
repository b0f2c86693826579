"""Generates the man pages, the shell completions and the JSON Schema.

The schema describes the configuration. syncd(1) comes from the commands, syncd.yaml(5) and the descriptions in the
schema from docs/reference/configuration.md.

Usage: python packaging/share.py DIR
"""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from syncd import __version__
from syncd.cli import cli
from syncd.config import json_schema

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
COMPLETIONS = {
    "bash": "bash-completion/completions/syncd",
    "zsh": "zsh/site-functions/_syncd",
    "fish": "fish/vendor_completions.d/syncd.fish",
}
SECTIONS = {
    "The file": ["Config"],
    "folders": ["Folder"],
    "after_upload": ["_Move"],
    "remotes": ["ImageRemote", "MultipartRemote"],
    "type: image": ["ImageRemote"],
    "type: multipart": ["MultipartRemote"],
    "bandwidth": ["Span"],
    "file": ["LogFile"],
}
"""The definitions in the schema of each heading; every other heading is in lower case the name of its definition."""

_DEFAULTS = {"required": "; required", "see there": "", "see below": "", "—": ""}
"""What the pages say instead of a default."""


def man_page() -> str:
    """Return syncd(1)."""
    context = click.Context(cli, info_name="syncd")
    return "\n".join(
        [
            _title("SYNCD", 1, "User Commands"),
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
            ".SH SIGNALS",
            *_table("signal"),
            ".SH EXIT STATUS",
            *_table("code"),
            ".SH ENVIRONMENT",
            *_table("variable"),
            ".SH FILES",
            *_entry("/etc/syncd/config.yaml", "The configuration of the system service."),
            *_entry("~/.config/syncd/config.yaml", "The configuration of your own daemon."),
            *_entry("/var/lib/syncd, ~/.local/state/syncd", "The job store."),
            *_entry("/run/syncd, $XDG_RUNTIME_DIR/syncd", "The control socket."),
            *_entry("/var/spool/syncd", "The drop folder of the system service."),
            ".SH EXAMPLES",
            *list(_examples(cli, context))[1:],
            ".SH SEE ALSO",
            ".BR syncd.yaml (5),",
            ".BR systemctl (1),",
            ".BR journalctl (1)",
            "",
        ]
    )


def config_man_page() -> str:
    """Return syncd.yaml(5)."""
    text = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    return "\n".join(
        [
            _title("SYNCD.YAML", 5, "File Formats"),
            ".SH NAME",
            "syncd.yaml \\- the configuration of syncd",
            ".SH DESCRIPTION",
            *_markdown(text.partition("\n\n")[2]),
            ".SH FILES",
            *_entry("/etc/syncd/config.yaml", "The configuration of the system service."),
            *_entry("/etc/syncd/NAME.yaml", "The configuration of the instance syncd@NAME."),
            *_entry("~/.config/syncd/config.yaml", "The configuration of your own daemon."),
            ".SH SEE ALSO",
            ".BR syncd (1)",
            "",
        ]
    )


def schema() -> str:
    """Return the JSON Schema of the configuration, with the meanings of the keys."""
    text = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            key, _, default, meaning = _cells(line)
            default = "" if default in _DEFAULTS else f" Default: {default}."
            for name in SECTIONS.get(heading, [heading.capitalize()]):
                found[name][_plain(key)] = _plain(meaning + default)
    return json.dumps(json_schema.document(found), indent=2, ensure_ascii=False) + "\n"


def _title(name: str, section: int, kind: str) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    built = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return f'.TH {name} {section} "{built:%Y-%m-%d}" "syncd {__version__}" "{kind}"'


def _commands(group: click.Group, above: click.Context) -> Iterator[str]:
    for command, context in _below(group, above):
        usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
        yield f'.SS "{_escaped(f"{context.command_path} {usage}".strip())}"'
        yield from _paragraphs(command.help)
        yield from _options(command, context)
        if isinstance(command, click.Group):
            yield from _commands(command, context)


def _examples(group: click.Group, above: click.Context) -> Iterator[str]:
    """Yield the examples from the help pages of the commands."""
    yield from _epilog(group)
    for command, context in _below(group, above):
        if isinstance(command, click.Group):
            yield from _examples(command, context)
        else:
            yield from _epilog(command)


def _epilog(command: click.Command) -> Iterator[str]:
    lines = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    if lines:
        yield from (".PP", ".nf", *map(_escaped, lines), ".fi")


def _below(group: click.Group, above: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        yield command, click.Context(command, info_name=name, parent=above)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in record[0]:
            yield from _entry(*record)


def _table(heading: str) -> Iterator[str]:
    """Yield the rows of the reference's table whose first column has this heading."""
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    rows = text.split(f"| {heading} | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    for row in rows.splitlines():
        yield from _entry(*map(_plain, _cells(row)))


def _markdown(text: str) -> Iterator[str]:
    """Yield the roff of a reference page: headings, paragraphs, lists and tables."""
    after_heading = True
    for block in re.split(r"\n\n+", text.strip()):
        lines = block.splitlines()
        if lines[0].startswith("#"):
            yield f'.{"SH" if lines[0].startswith("## ") else "SS"} "{_escaped(_plain(lines[0].lstrip("# ")))}"'
        elif lines[0].startswith("|"):
            for row in lines[2:]:
                key, kind, default, meaning = map(_plain, _cells(row))
                yield from _entry(key, f"{kind}{_DEFAULTS.get(default, f'; default: {default}')}. {meaning}")
        elif lines[0].startswith("- "):
            for item in re.split(r"(?m)^- ", block)[1:]:
                yield from (".IP \\(bu 2", _escaped(_plain(" ".join(item.split()))))
        else:
            yield from (*(() if after_heading else (".PP",)), _escaped(_plain(" ".join(lines))))
        after_heading = lines[0].startswith("#")


def _cells(row: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def _plain(text: str) -> str:
    """Return Markdown without links, code marks and emphasis."""
    return re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text).replace("`", "").replace("**", "")


def _entry(name: str, meaning: str) -> list[str]:
    return [".TP", f".B {_escaped(name)}", _escaped(meaning)]


def _paragraphs(text: str | None) -> Iterator[str]:
    for index, paragraph in enumerate((text or "").split("\n\n")):
        if index:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Return text escaped for roff, with hyphens that can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("~", "\\(ti")
    return re.sub(r"^([.'])", r"\\&\1", safe)


def main(folder: Path) -> None:
    """Write all files below ``folder``."""
    texts = {
        "man/man1/syncd.1": man_page(),
        "man/man5/syncd.yaml.5": config_man_page(),
        "syncd/config.schema.json": schema(),
    }
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
