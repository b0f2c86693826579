"""``syncd completion``: prints the completion script of a shell.

click answers the script's requests: :func:`syncd.cli.main` sees ``_SYNCD_COMPLETE`` in the environment.
"""

import click
from click.shell_completion import get_completion_class

from syncd.cli.options import examples

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog=examples(
        "syncd completion bash > ~/.local/share/bash-completion/completions/syncd",
        'syncd completion zsh > "${fpath[1]}/_syncd"',
        "syncd completion fish > ~/.config/fish/completions/syncd.fish",
    ),
)
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for bash, zsh or fish."""
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(ctx.find_root().command, {}, "syncd", "_SYNCD_COMPLETE").source())
