"""``syncd check``: runs all checks and prints the findings as lines or JSON."""

import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict

import click

from syncd.cli import narrow
from syncd.cli.check.result import Finding
from syncd.cli.check.runner import run_checks
from syncd.cli.errors import ExitCode
from syncd.cli.options import config_option, examples, json_option
from syncd.platform import event_loop

_COLOURS = {"ok": "green", "warn": "yellow", "error": "red"}


@click.command(epilog=examples("syncd check", "syncd check -c photos.yaml --json", "syncd check --notify"))
@config_option
@click.option("--notify", is_flag=True, help="Also send a test message to each target of notify.")
@json_option
def command(config: str | None, *, notify: bool, as_json: bool) -> int:
    """Check that the configuration is valid and works.

    Tests the folders, the kernel's limits, the state folder and each server with its token, and prints how to fix each
    problem. Exit code 1: the configuration would not work.
    """
    findings = event_loop.run(_collect(config, (lambda _: None) if as_json else _print_finding, notify=notify))
    ok = all(finding.level != "error" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": ok, "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False))
    return ExitCode.OK if ok else ExitCode.FAILED


async def _collect(config: str | None, on_finding: Callable[[Finding], None], *, notify: bool) -> list[Finding]:
    findings = []
    async with aclosing(run_checks(config, notify=notify)) as results:
        async for finding in results:
            findings.append(finding)
            on_finding(finding)

    return findings


def _print_finding(finding: Finding) -> None:
    level = click.style(f"{finding.level:<5}", fg=_COLOURS[finding.level])
    lines = [f"{level}  {finding.where}: {finding.what}", *([f"       → {finding.advice}"] if finding.advice else [])]
    for line in narrow.fold_all(lines):
        click.echo(line)
