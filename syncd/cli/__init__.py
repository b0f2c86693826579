"""Defines the command ``syncd`` and its entry point :func:`main`.

Each subcommand is a module or package of ``syncd.cli`` that is imported only when it is called. :func:`main` prints
each error as one line on standard error and ends the process with the exit code of ``syncd.cli.errors``.
"""

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from syncd import __version__
from syncd.cli import narrow, terminal
from syncd.cli.errors import CommandError, ExitCode, internal_error
from syncd.cli.imports import paused_collector
from syncd.cli.options import examples

COMMANDS = {
    "run": "Watch the folders and upload, in the foreground.",
    "once": "Upload all files that are due, then exit.",
    "check": "Check that the configuration is valid and works.",
    "init": "Write a commented configuration.",
    "verify": "Compare the copies on the servers with what was uploaded.",
    "restore": "Download uploaded files to a folder.",
    "backup": "Copy the job store and the configuration to one file.",
    "ctl": "Control the running daemon.",
    "service": "Install the daemon as a service.",
    "serve": "Run a receiver: a server for both upload APIs.",
    "demo": "Try syncd on this machine without a configuration.",
    "config": "Print the JSON Schema of the configuration.",
    "completion": "Print the completion script of a shell.",
}
_ELSEWHERE = {
    "status": "syncd ctl status",
    "start": "syncd run, or syncd service install; to resume uploading: syncd ctl start",
    "stop": "syncd ctl stop; to end the daemon: syncd ctl shutdown",
    "pause": "syncd ctl stop",
    "resume": "syncd ctl start",
    "logs": "syncd ctl logs",
    "log": "syncd ctl logs",
    "jobs": "syncd ctl jobs",
    "retry": "syncd ctl retry",
    "watch": "syncd ctl watch",
    "reload": "syncd ctl reload",
    "shutdown": "syncd ctl shutdown",
    "install": "syncd service install",
    "uninstall": "syncd service uninstall",
}
"""Commands that people try, and the commands that do it."""
_PACKAGES = frozenset(("check", "ctl", "demo", "service"))
"""Commands that are packages; every other command is a module."""
DEBUG_VARIABLE = "SYNCD_DEBUG"
"""Environment variable that turns on tracebacks of internal errors."""


click.Context.formatter_class = narrow.HelpFormatter


class _LazyGroup(click.Group):
    """A command group that lists its commands without importing their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}.command" if cmd_name in _PACKAGES else cmd_name
        if sys.platform == "win32" and cmd_name == "service":
            module = "service.windows"
        with paused_collector():
            command: click.Command = importlib.import_module(f"syncd.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the right command for one of :data:`_ELSEWHERE`."""
        if advice := _ELSEWHERE.get(args[0]):
            raise click.UsageError(f"there is no command {args[0]}; use: {advice}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "syncd demo          try syncd without a configuration",
        "syncd init          write a configuration",
        "syncd check         check the configuration",
        "syncd run           watch the folders and upload",
        "syncd ctl status    show the state of the daemon",
        title="First steps",
    ),
)
@click.version_option(__version__, "-V", "--version", message="syncd %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """Upload images from watched folders to a server, in the background."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    terminal.prepare()
    sys.exit(_run())


def _run() -> int:
    try:
        code: Any = cli.main(prog_name="syncd", standalone_mode=False)
    except CommandError as error:
        return _print_error(*error.lines, code=error.code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        advice = f" (see {context.command_path} --help)" if context else ""
        return _print_error(error.format_message() + advice, code=error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - users do not see a traceback
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exception(error)
        translated = internal_error(error)
        return _print_error(*translated.lines, code=translated.code)
    return code if isinstance(code, int) else ExitCode.OK


def _print_error(*lines: str, code: int) -> int:
    for line in lines:
        click.echo(f"syncd: {' '.join(line.split())}", err=True)
    return code
