"""The one door out: one line on standard error, an exit code, never a traceback."""

import os
import subprocess
import sys

import click
import pytest

from syncd import __version__, cli
from syncd.cli import COMMANDS


@pytest.fixture
def command(monkeypatch):
    """Put a command in place of ``run`` that raises."""

    def put(error):
        @click.command()
        def broken():
            raise error

        monkeypatch.setattr(cli.cli, "get_command", lambda _context, _name: broken)

    return put


def test_the_version(syncd):
    ended = syncd("--version")
    assert (ended.code, ended.out) == (0, f"syncd {__version__}\n")


def test_help_names_every_command_and_loads_none(syncd, monkeypatch):
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: pytest.fail(f"loads {name}"))
    ended = syncd("--help")
    assert ended.code == 0
    for name, words in COMMANDS.items():
        assert f"  {name}" in ended.out
        assert words in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(syncd, name):
    ended = syncd(name, "--help")
    assert ended.code == 0
    assert f"\n  Examples:\n    syncd {name}" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["ctl", "nope"],
        ["run", "--nope"],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["ctl", "show"],
    ],
)
def test_wrong_usage_is_one_line(syncd, arguments):
    ended = syncd(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("syncd: ")
    assert ended.err.endswith("--help)\n")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("two\nlines"), 70, "internal error: RuntimeError: two lines; run syncd --debug"),
        (PermissionError(13, "Permission denied", "/srv/x"), 77, "/srv/x: Permission denied; check the owner"),
        (OSError(28, "No space left on device", b"/srv/x"), 69, "/srv/x: No space left on device"),
        (OSError("odd"), 69, "odd"),
    ],
)
def test_what_nobody_foresaw_is_one_line(syncd, command, error, code, words):
    command(error)
    ended = syncd("run")
    assert ended.code == code
    assert ended.err.startswith(f"syncd: {words}")
    assert ended.err.count("\n") == 1


def test_debug_shows_the_traceback(syncd, command, monkeypatch):
    monkeypatch.setenv("SYNCD_DEBUG", "")  # so that it is put back
    command(RuntimeError("odd"))
    assert "Traceback" in syncd("--debug", "run").err


def test_ctrl_c(syncd, command):
    command(KeyboardInterrupt())
    ended = syncd("run")
    assert (ended.code, ended.err.strip()) == (130, "")


@pytest.mark.e2e
def test_a_closed_pipe_is_no_drama(process):
    reading, writing = os.pipe()
    os.close(reading)
    ended = process("--help", stdout=writing)
    os.close(writing)
    assert ended.stderr.read() == ""


@pytest.mark.e2e
def test_a_terminal_that_can_not_show_a_name_is_no_error():
    script = "import sys; from syncd.cli import main; sys.argv = ['syncd', 'خورشید\\udcff']; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, env=environment)
    assert ended.returncode == 2
    assert rb"'\u062e\u0648\u0631\u0634\u06cc\u062f\udcff'" in ended.stderr
    assert b"Traceback" not in ended.stderr
