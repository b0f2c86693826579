"""Checks the job store: whether it is usable, and whether the servers confirm uploads. Writes nothing."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

from syncd.cli.check.result import Finding
from syncd.config import destinations
from syncd.config.model import Config
from syncd.config.remotes import AnyRemote
from syncd.platform import user
from syncd.store import migrations
from syncd.store.copies import CopyIndex
from syncd.store.errors import StoreError
from syncd.store.startup import inspect_revision


async def check_store(config: Config) -> AsyncGenerator[Finding]:
    """Yield findings about the store, if it exists, and about what it records for each remote."""
    beside = [Path(f"{config.store}{suffix}") for suffix in ("", "-wal", "-shm")]
    foreign = next((path for path in beside if path.exists() and not user.has_access(path, os.R_OK | os.W_OK)), None)
    if foreign is not None:
        what = f"user {user.own_name()} has no permission to write to {foreign}"
        advice = f"sudo chown {user.own_name()}: {config.store}* (another user may have run a command)"
        yield Finding(level="error", where="job store", what=what, advice=advice)
    elif config.store.exists():
        try:
            if (
                inspect_revision(os.fspath(config.store)) == migrations.HEAD
            ):  # an earlier one is brought up to date at the next start
                for finding in await _recorded(config):
                    yield finding
        except StoreError as error:
            yield Finding(level="error", where="job store", what=str(error))


async def _recorded(config: Config) -> list[Finding]:
    copy_index = CopyIndex(os.fspath(config.store))
    found = []
    try:
        for name, settings in config.remotes.items():
            found += [finding async for finding in _of_remote(copy_index, name, settings)]
    finally:
        await copy_index.close()
    return found


async def _of_remote(copy_index: CopyIndex, name: str, settings: AnyRemote) -> AsyncGenerator[Finding]:
    identity, former = destinations.identity(name, settings), destinations.former(name, settings)
    for apart in await copy_index.recorded_apart(identity, former):
        yield Finding(
            level="warn",
            where=f"former_url of {name}",
            what=f"records exist for {apart.url} and for the present url: those of {apart.url} are not used",
            advice="remove it from former_url; syncd asks the server by hash before it uploads known content",
        )
    number = await copy_index.remote_id(identity, former)
    unproven, known = (0, 0) if number is None else await copy_index.unproven(number)
    if unproven:
        yield Finding(
            level="warn",
            where=f"confirmations of {name}",
            what=f"the server confirmed {unproven:,} of {known:,} contents without hash and size: such files are never "
            "deleted or moved",
            advice="compare the copies with syncd verify, and report it to the server's operator; or set after_upload: "
            "keep",
        )
