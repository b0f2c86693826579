"""``syncd config``: describes the configuration file for editors and programs."""

import click

from syncd.cli.options import examples

_EXAMPLES = examples("syncd config schema > ~/syncd.schema.json")


@click.group("config", epilog=_EXAMPLES)
def command() -> None:
    """Describe the configuration file."""


@command.command("schema", epilog=_EXAMPLES)
def _schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from syncd.config import json_schema  # noqa: PLC0415 - --help needs no model

    click.echo(json_schema.text().rstrip())
