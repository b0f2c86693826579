"""What a person types: one module a command, each loaded only when it is called.

Here is the door in and the only door out: whatever goes wrong below becomes one line on standard error and an
exit code.
"""

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from syncd import __version__
from syncd.cli import terminal
from syncd.cli.errors import Exit, Fault, unforeseen
from syncd.cli.options import examples

COMMANDS = {
    "run": "Watch the folders and upload, in the foreground.",
    "once": "Upload all that is due, and end.",
    "check": "Is the configuration right, and would it work?",
    "init": "Write a commented configuration.",
    "verify": "Compare what the servers have with what was uploaded.",
    "restore": "Bring back what was uploaded.",
    "ctl": "Talk to the running daemon.",
    "service": "Have the system or your session run the daemon.",
    "serve": "Be the other end: a server for both upload APIs.",
    "demo": "See it all at work on this machine, with nothing set up.",
    "completion": "Print the completion script of a shell.",
}
_PACKAGES = frozenset(("check", "ctl", "demo", "service"))
"""The commands that are a package; every other command is a module."""
DEBUG = "SYNCD_DEBUG"
"""Environment variable that asks for tracebacks."""


class _Lazy(click.Group):
    """Loads a command's module when the command is called, and not for a list of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}.command" if cmd_name in _PACKAGES else cmd_name
        if sys.platform == "win32" and cmd_name == "service":
            module = "service.windows"
        command: click.Command = importlib.import_module(f"syncd.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "syncd demo          see it at work, with nothing set up",
        "syncd init          write a configuration",
        "syncd check         is it right, and would it work?",
        "syncd run           watch and upload",
        "syncd ctl status    how is it going?",
        title="First steps",
    ),
)
@click.version_option(__version__, "-V", "--version", message="syncd %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """Sync folders of images to a server, in the background: drop a file in, and it is there."""
    if debug:
        os.environ[DEBUG] = "1"
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    terminal.prepare()
    sys.exit(_run())


def _run() -> int:
    try:
        code: Any = cli.main(prog_name="syncd", standalone_mode=False)
    except Fault as fault:
        return _tell(*fault.lines, code=fault.code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        advice = f" (see {context.command_path} --help)" if context else ""
        return _tell(error.format_message() + advice, code=error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        unknown = unforeseen(error)
        return _tell(*unknown.lines, code=unknown.code)
    return code if isinstance(code, int) else Exit.OK


def _tell(*lines: str, code: int) -> int:
    for line in lines:
        click.echo(f"syncd: {' '.join(line.split())}", err=True)
    return code
