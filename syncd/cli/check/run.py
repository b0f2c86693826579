"""The checks of ``syncd check`` in the order in which things have to work, and with whose rights."""

import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext

from syncd.cli import formatting
from syncd.cli.check import folders, machine
from syncd.cli.check.result import Finding
from syncd.cli.check.server import check_server
from syncd.cli.check.store import check_store
from syncd.config import paths
from syncd.config.load import ConfigError, Loaded, find, load
from syncd.core.bandwidth import limit_at
from syncd.daemon.runtime import timetable
from syncd.platform import user
from syncd.platform.systemd.install import USER
from syncd.platform.systemd.sandbox import Sandbox, sandbox_of


async def check_all(config: str | None) -> AsyncGenerator[Finding]:
    """Look at everything; a finding for each thing as soon as it is known, but for what belongs together."""
    loaded, found = check_config(config)
    for finding in found:
        yield finding
    if loaded is None:
        return
    systemd = sys.platform != "win32" and paths.is_system(loaded.path)
    sandbox = sandbox_of(loaded.path) if systemd else None
    with _rights_of_the_daemon(sandbox):
        found = [finding async for finding in _check_machine(loaded, sandbox)]
    for finding in found:
        yield finding
    now = time.localtime()
    limit = limit_at(timetable(loaded.config.scheduler.bandwidth), now.tm_hour * 60 + now.tm_min)
    for name, settings in loaded.config.remotes.items():
        async with aclosing(check_server(name, settings, bandwidth=limit, sandbox=sandbox)) as more:
            async for finding in more:
                yield finding


def check_config(config: str | None) -> tuple[Loaded | None, list[Finding]]:
    """Load the configuration; all that is wrong with it, or what to beware of."""
    try:
        loaded = load(find(config))
    except ConfigError as error:
        return None, [Finding(level="error", where="configuration", what=str(problem)) for problem in error.problems]
    folders_count = formatting.count(len(loaded.config.folders), "folder")
    numbers = f"{folders_count}, {formatting.count(len(loaded.config.remotes), 'server')}"
    found = [Finding(level="ok", where=f"configuration {loaded.path}", what=numbers)]
    return loaded, found + [Finding(level="warn", where="configuration", what=text) for text in loaded.warnings]


def _rights_of_the_daemon(sandbox: Sandbox | None) -> AbstractContextManager[None]:
    """Look at what follows as the system's daemon will, where the configuration is its and root asks."""
    if sandbox is not None and user.is_root() and user.exists(USER):
        return user.rights_of(USER, *sandbox.groups)
    return nullcontext()


async def _check_machine(loaded: Loaded, sandbox: Sandbox | None) -> AsyncGenerator[Finding]:
    name, config = user.own_name(), loaded.config
    where = f"user {name}"
    again = f"sudo syncd check -c {loaded.path}"
    if sandbox is None or name == USER:
        yield Finding(level="ok", where=where, what="what follows is looked at with its rights")
    elif user.is_root():
        what = f"there is no user {USER} yet, whose rights count; what follows is looked at as root"
        yield Finding(level="warn", where=where, what=what, advice=f"sudo syncd service install, then {again}")
    else:
        what = f"the daemon runs as {USER}: folders, files and state can't be looked at as {name}"
        yield Finding(level="warn", where=where, what=what, advice=again)
    yield machine.check_socket(config.control)
    if sandbox is None or name == USER or user.is_root():
        for finding in (*machine.check_files(loaded), *folders.check_folders(config, sandbox)):
            yield finding
        state = list(machine.check_state(loaded))
        for finding in state:
            yield finding
        if all(finding.level != "error" for finding in state):
            async for finding in check_store(config):
                yield finding
    for finding in machine.check_daemon(config, sandbox):
        yield finding
