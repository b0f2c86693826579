"""Finds the jobs of the targets in a request of the control API.

A target is an id, a file or a folder. :mod:`syncd.daemon.control_service` uses it for the commands on jobs.
"""

import asyncio
import os
from collections.abc import Sequence

from syncd.control.job_targets import Target
from syncd.control.service import NotFoundError
from syncd.core.states import IN_USE, State
from syncd.core.text import printable
from syncd.daemon.runtime import Runtime
from syncd.paths import inside
from syncd.platform.file_info import on_disk_case
from syncd.platform.files import join_path
from syncd.store.records import JobRecord
from syncd.watch.folder import NOT_QUIET


async def find(runtime: Runtime, target: Target) -> list[JobRecord]:
    """Return the job with an id, or the jobs of a file.

    Raises :class:`NotFoundError` if there are none.
    """
    if isinstance(target, int):
        record = await runtime.store.job(target)
        if record is None:
            raise NotFoundError(f"there is no job {target}")
        return [record]
    folders = list(runtime.folders.watches)
    records = await runtime.store.jobs_of(await asyncio.to_thread(_as_on_disk, target, folders), folders)
    if records:
        return records
    raise NotFoundError(f"{printable(target)}: {await asyncio.to_thread(_why_unknown, runtime, target)}")


class InStates:
    """The ids of the jobs of targets that are in one of ``states``.

    ``named`` has the ids of the jobs that an id or a file names, ``below`` those of the jobs below a folder.
    """

    def __init__(self, states: Sequence[State]) -> None:
        self.named: list[int] = []
        self.below: list[int] = []
        self._states = states

    async def add(self, runtime: Runtime, target: Target) -> None:
        """Add the jobs of a target.

        A folder stands for all files below it, even if it no longer exists. Raises :class:`NotFoundError` if the target
        is unknown.
        """
        try:
            self.named += [record.id for record in await find(runtime, target) if record.state in self._states]
        except NotFoundError:
            ids = None if isinstance(target, int) else await _ids_below(runtime, target, self._states)
            if ids is None:
                raise
            self.below += ids


async def _ids_below(runtime: Runtime, path: str, states: Sequence[State]) -> list[int] | None:
    """Return the ids of the jobs below a folder; None if there is no such folder."""
    folders = list(runtime.folders.watches)
    path = await asyncio.to_thread(_as_on_disk, path, folders)
    exists = await asyncio.to_thread(os.path.isdir, path)
    below = [(folder, relative) for folder in folders if (relative := inside(folder, path)) is not None]
    ids = [number for place in below for number in await runtime.store.ids_below(*place, states)]
    return ids if ids or (below and exists) else None


def _why_unknown(runtime: Runtime, path: str) -> str:
    """Return the reason why a path has no job."""
    for folder, watch in runtime.folders.watches.items():
        if relative := inside(folder, path):
            if not os.path.lexists(join_path(folder, relative)):
                return "there is no such file"
            if watch.in_use(relative):
                return f"not queued yet: it is {IN_USE}, and is uploaded when that closes it"
            if watch.settling(relative):
                return f"not queued yet: the file is {NOT_QUIET}"
            return "not known: its name is left out by include or exclude, or it has not been seen yet (rescan)"
    return "it is in none of the watched folders"


def _as_on_disk(path: str, folders: Sequence[str]) -> str:
    """Return the spelling of an existing file on disk, which the store has."""
    for folder in folders:
        if relative := inside(folder, path):
            return os.path.join(folder, on_disk_case(folder, relative) or relative)
    return path
