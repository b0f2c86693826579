"""Defines the options that several commands share.

Imports little, so that ``syncd ctl`` starts fast.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """Add ``-c FILE`` to a command as its argument ``config``."""
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration. Default: $SYNCD_CONFIG, syncd/config.yaml in your configuration folder, "
        "/etc/syncd/config.yaml.",
    )(command)


def json_option(command: F) -> F:
    """Add ``--json`` to a command as its argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")(command)


def paths_argument(command: F) -> F:
    """Add any number of paths to a command as its argument ``paths``."""
    return click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.UNPROCESSED)(command)


def examples(*lines: str, title: str = "Examples") -> str:
    r"""Return the examples for the end of a help page.

    ``\b`` prevents click from joining the lines.
    """
    return "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)])
