"""``syncd`` itself: help, usage errors, and one line for each error."""

import os
import subprocess
import sys

import click
import pytest

from syncd import __version__, cli
from syncd.cli import COMMANDS


@pytest.fixture
def failing_command(monkeypatch):
    """Replace every command by one that raises an error."""

    def replace(error):
        @click.command()
        def broken():
            raise error

        monkeypatch.setattr(cli.cli, "get_command", lambda _context, _name: broken)

    return replace


def test_version_prints_version(syncd):
    result = syncd("--version")
    assert (result.code, result.out) == (0, f"syncd {__version__}\n")


def test_help_lists_commands_without_import(syncd, monkeypatch):
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: pytest.fail(f"loads {name}"))
    result = syncd("--help")
    assert result.code == 0
    for name, summary in COMMANDS.items():
        assert f"  {name}" in result.out
        assert summary in result.out


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["status"], "syncd ctl status"),
        (["stop", "--now"], "syncd ctl stop; to end the daemon: syncd ctl shutdown"),
        (["pause"], "syncd ctl stop"),
        (["logs", "-f"], "syncd ctl logs"),
    ],
)
def test_command_of_ctl_names_the_right_one(syncd, arguments, advice):
    result = syncd(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"syncd: there is no command {arguments[0]}; use: {advice}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_has_examples(syncd, name):
    result = syncd(name, "--help")
    assert result.code == 0
    assert f"\n  Examples:\n    syncd {name}" in result.out


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
def test_wrong_usage_prints_one_line(syncd, arguments):
    result = syncd(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("syncd: ")
    assert result.err.endswith("--help)\n")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (RuntimeError("two\nlines"), 70, "internal error: RuntimeError: two lines; run syncd --debug"),
        (PermissionError(13, "Permission denied", "/srv/x"), 77, "/srv/x: Permission denied; check the owner"),
        (OSError(28, "No space left on device", b"/srv/x"), 69, "/srv/x: No space left on device"),
        (OSError("odd"), 69, "odd"),
    ],
)
def test_unexpected_error_prints_one_line(syncd, failing_command, error, code, expected):
    failing_command(error)
    result = syncd("run")
    assert result.code == code
    assert result.err.startswith(f"syncd: {expected}")
    assert result.err.count("\n") == 1


def test_debug_prints_traceback(syncd, failing_command, monkeypatch):
    monkeypatch.setenv("SYNCD_DEBUG", "")  # restored after the test
    failing_command(RuntimeError("odd"))
    assert "Traceback" in syncd("--debug", "run").err


def test_ctrl_c_exits_130(syncd, failing_command):
    failing_command(KeyboardInterrupt())
    result = syncd("run")
    assert (result.code, result.err.strip()) == (130, "")


@pytest.mark.e2e
def test_closed_pipe_prints_no_error(process):
    reading, writing = os.pipe()
    os.close(reading)
    result = process("--help", stdout=writing)
    os.close(writing)
    assert result.stderr.read() == ""


@pytest.mark.e2e
def test_unencodable_name_is_escaped():
    script = "import sys; from syncd.cli import main; sys.argv = ['syncd', 'خورشید\\udcff']; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, env=environment)
    assert result.returncode == 2
    assert rb"'\u062e\u0648\u0631\u0634\u06cc\u062f\udcff'" in result.stderr
    assert b"Traceback" not in result.stderr
