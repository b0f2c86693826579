"""The man page names every command and option; the shells accept the completions."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from syncd.cli import cli

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


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff")
def test_groff_accepts_man_page(share: Path) -> None:
    page = share / "man/man1/syncd.1"
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert "The control socket." in shown.stdout


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
