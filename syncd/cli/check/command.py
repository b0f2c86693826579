"""``syncd check``: whether a configuration is right and would work."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict

import click

from syncd.cli.check.result import Finding
from syncd.cli.check.run import check_all
from syncd.cli.errors import Exit
from syncd.cli.options import config_option, examples, json_option

_COLOURS = {"ok": "green", "warn": "yellow", "error": "red"}


@click.command(epilog=examples("syncd check", "syncd check -c photos.yaml --json"))
@config_option
@json_option
def command(config: str | None, *, as_json: bool) -> int:
    """Look whether the configuration is right and would work.

    Tries folders, the kernel's limits, the state folder and each server with its token, and says what to do about
    what it finds. Ends with 1 if something would not work.
    """
    findings = asyncio.run(_collect(config, (lambda _: None) if as_json else _show))
    fine = all(finding.level != "error" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": fine, "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False))
    return Exit.OK if fine else Exit.FAILED


async def _collect(config: str | None, tell: Callable[[Finding], None]) -> list[Finding]:
    findings = []
    async with aclosing(check_all(config)) as found:
        async for finding in found:
            findings.append(finding)
            tell(finding)
    return findings


def _show(finding: Finding) -> None:
    click.echo(f"{click.style(f'{finding.level:<5}', fg=_COLOURS[finding.level])}  {finding.where}: {finding.what}")
    if finding.advice:
        click.echo(f"       → {finding.advice}")
