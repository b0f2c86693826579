"""The man pages, the shell completions and the JSON Schema.

The man pages name every command, option and key. The shells accept the completions. The schema has descriptions.
"""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from syncd.cli import cli
from syncd.cli.errors import ExitCode
from syncd.config.model import Config
from tests.config.test_example import NOT_IN_A_FILE, sections

pytestmark = pytest.mark.e2e

SOURCE = Path(__file__).parents[2] / "packaging" / "share.py"


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("share", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("share")
    module.main(folder)
    return folder


def commands(group: click.Group, path: str = "syncd"):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_man_page_has_all_commands_and_options(share: Path) -> None:
    page = (share / "man/man1/syncd.1").read_text()
    sections = {part.partition('"')[0]: part for part in page.split('.SS "')}
    for path, command in commands(cli):
        section = next(text for head, text in sections.items() if f"{head} ".startswith(path.replace("-", "\\-") + " "))
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(spelling.replace("-", "\\-") in section for spelling in option.opts), (path, option.opts)


PAGES = ["man/man1/syncd.1", "man/man5/syncd.yaml.5"]


def test_man_page_has_the_usual_sections(share: Path) -> None:
    headings, texts = zip(
        *re.findall(r"(?ms)^\.SH ([^\n]+)\n(.*?)(?=^\.SH |\Z)", (share / PAGES[0]).read_text()), strict=True
    )
    usual = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "SIGNALS", "EXIT STATUS", "ENVIRONMENT", "FILES"]
    assert list(headings) == [*usual, "EXAMPLES", "SEE ALSO"]
    sections_of = dict(zip(headings, texts, strict=True))
    assert ".B SIGTERM, SIGINT\n" in sections_of["SIGNALS"]
    assert all(f".B {int(code)}\n" in sections_of["EXIT STATUS"] for code in ExitCode)
    assert "\nsyncd init" in sections_of["EXAMPLES"]


def test_configuration_man_page_has_every_key(share: Path) -> None:
    page = (share / PAGES[1]).read_text()
    for section in sections(Config):
        for key in set(section.keys()) - NOT_IN_A_FILE.get(section.__name__, set()):
            assert f".TP\n.B {key}\n" in page, (section, key)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("groff", ["groff", "-man", "-Tutf8", "-K", "utf8", "-ww"]),
        ("mandoc", ["mandoc", "-T", "lint", "-W", "warning"]),
        ("man", ["man", "--warnings", "--encoding=UTF-8", "--local-file", "--ditroff"]),
    ],
)
def test_program_accepts_man_page(share: Path, program: str, command: list[str], name: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"there is no {program}")
    read = subprocess.run([*command, share / name], capture_output=True, text=True, check=False)
    if program != "mandoc":
        assert (read.returncode, read.stderr) == (0, "")
        assert "The configuration of your own daemon." in " ".join(read.stdout.split()) or program == "man"
    else:
        assert (read.returncode, read.stdout, read.stderr) == (0, "", "")


def test_schema_describes_every_key(share: Path) -> None:
    schema = json.loads((share / "syncd/config.schema.json").read_text(encoding="utf-8"))
    for name, section in {"Config": schema, **schema["$defs"]}.items():
        described = {key for key, value in section["properties"].items() if len(value.get("description", "")) > 10}
        assert described == set(section["properties"]), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_accepts_completion(share: Path, shell: str) -> None:
    names = {
        "bash": "bash-completion/completions/syncd",
        "zsh": "zsh/site-functions/_syncd",
        "fish": "fish/vendor_completions.d/syncd.fish",
    }
    script = share / names[shell]
    assert "_SYNCD_COMPLETE" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True)
