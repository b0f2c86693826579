"""Checks the job store: access, integrity, and its records for each remote.

It opens the store for reading only.
"""

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
    """Yield findings about the store and its records for each remote.

    Yields nothing if the store does not exist.
    """
    files = [Path(f"{config.store}{suffix}") for suffix in ("", "-wal", "-shm")]
    denied = next((path for path in files if path.exists() and not user.has_access(path, os.R_OK | os.W_OK)), None)
    if denied is not None:
        what = f"user {user.own_name()} has no permission to write to {denied}"
        advice = f"sudo chown {user.own_name()}: {config.store}* (another user may have run a command)"
        yield Finding(level="error", where="job store", what=what, advice=advice)
    elif config.store.exists():
        try:
            # The daemon migrates a store of an earlier revision at its next start.
            if inspect_revision(os.fspath(config.store)) == migrations.HEAD:
                for finding in await _check_records(config):
                    yield finding
        except StoreError as error:
            yield Finding(level="error", where="job store", what=str(error))


async def _check_records(config: Config) -> list[Finding]:
    copy_index = CopyIndex(os.fspath(config.store))
    found = []
    try:
        for name, settings in config.remotes.items():
            found += [finding async for finding in _check_remote(copy_index, name, settings)]
    finally:
        await copy_index.close()
    return found


async def _check_remote(copy_index: CopyIndex, name: str, settings: AnyRemote) -> AsyncGenerator[Finding]:
    identity, former = destinations.identity(name, settings), destinations.former(name, settings)
    for apart in await copy_index.recorded_apart(identity, former):
        yield Finding(
            level="warn",
            where=f"former_url of {name}",
            what=f"the job store has records for {apart.url} and for the current url; syncd uses only the latter",
            advice="remove it from former_url; before an upload, syncd asks the server by hash for the content",
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
