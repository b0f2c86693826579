"""Options that several commands have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """Give a command ``-c FILE`` as its argument ``config``."""
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration. Default: $SYNCD_CONFIG, syncd/config.yaml in your configuration folder, "
        "/etc/syncd/config.yaml.",
    )(command)


def json_option(command: F) -> F:
    """Give a command ``--json`` as its argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")(command)


def paths_argument(command: F) -> F:
    """Give a command any number of paths as its argument ``paths``."""
    return click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.UNPROCESSED)(command)


def examples(*lines: str, title: str = "Examples") -> str:
    r"""Return the end of a help page; ``\b`` keeps click from flowing the lines together."""
    return "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)])
