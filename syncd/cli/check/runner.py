"""Runs the checks of ``syncd check`` and yields their findings.

The order is configuration, machine, folders, job store, daemon, remotes, notifications. If root checks the
configuration of the system's service, the checks of this machine run with the rights of the service's user.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext

from syncd.cli import formatting
from syncd.cli.check import folders, machine
from syncd.cli.check.notify import check_notify
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


async def run_checks(config: str | None, *, notify: bool) -> AsyncGenerator[Finding]:
    """Yield the findings of all checks; the findings about a remote one by one.

    With ``notify``, send a test message to each target of notifications.
    """
    loaded, found = check_config(config)
    for finding in found:
        yield finding
    if loaded is None:
        return
    sandbox = sandbox_of(loaded.path) if paths.is_system(loaded.path) else None
    with _service_user_rights(sandbox):
        found = [finding async for finding in _check_machine(loaded, sandbox)]
    for finding in found:
        yield finding
    now = time.localtime()
    limit = limit_at(timetable(loaded.config.scheduler.bandwidth), now.tm_hour * 60 + now.tm_min)
    for name, settings in loaded.config.remotes.items():
        async with aclosing(check_server(name, settings, bandwidth=limit, sandbox=sandbox)) as more:
            async for finding in more:
                yield finding
    if notify:
        async with aclosing(check_notify(loaded.config.notify)) as more:
            async for finding in more:
                yield finding


def check_config(config: str | None) -> tuple[Loaded | None, list[Finding]]:
    """Return the configuration and findings for its problems and warnings.

    The configuration is None if it is invalid.
    """
    try:
        loaded = load(find(config))
    except ConfigError as error:
        return None, [Finding(level="error", where="configuration", what=str(problem)) for problem in error.problems]
    folders_count = formatting.count(len(loaded.config.folders), "folder")
    numbers = f"{folders_count}, {formatting.count(len(loaded.config.remotes), 'remote')}"
    found = [Finding(level="ok", where=f"configuration {loaded.path}", what=numbers)]
    return loaded, found + [Finding(level="warn", where="configuration", what=text) for text in loaded.warnings]


def _service_user_rights(sandbox: Sandbox | None) -> AbstractContextManager[None]:
    """Switch to the rights of the service's user, if this is root and the user exists."""
    if sandbox is not None and user.is_root() and user.exists(USER):
        return user.rights_of(USER, *sandbox.groups)
    return nullcontext()


async def _check_machine(loaded: Loaded, sandbox: Sandbox | None) -> AsyncGenerator[Finding]:
    name, config = user.own_name(), loaded.config
    where = f"user {name}"
    rerun = f"sudo syncd check -c {loaded.path}"
    if sandbox is None or name == USER:
        yield Finding(level="ok", where=where, what="checks run as this user")
    elif user.is_root():
        what = f"the daemon's user {USER} does not exist yet, so the checks run as root"
        yield Finding(level="warn", where=where, what=what, advice=f"sudo syncd service install, then {rerun}")
    else:
        what = f"the daemon runs as {USER}, and user {name} cannot check its folders, files and state"
        yield Finding(level="warn", where=where, what=what, advice=rerun)
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
