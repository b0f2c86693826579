"""Warns if another daemon of this machine watches the same folder.

Each daemon announces its folders to the others.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from syncd.asyncio_tools import until_next
from syncd.config.model import Folder
from syncd.platform import watchers

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 10.0
"""Time between two checks for a replaced directory and for other daemons."""


@dataclass(kw_only=True, slots=True)
class _Announcement:
    """The announcement of one folder, None if it failed, and whether a warning was logged."""

    directory: tuple[int, int]
    """Device and inode of the directory that was announced."""
    listener: socket.socket | None
    warned: bool = False


class SharedFolderCheck:
    """Announces each of ``folders``, by path, and checks for announcements by other daemons."""

    def __init__(self, folders: Mapping[str, Folder], *, state_dir: str) -> None:
        self._folders = folders
        self._state_dir = state_dir
        self._announcements: dict[str, _Announcement] = {}

    async def run(self) -> None:
        """Check the folders every :data:`CHECK_INTERVAL_SECONDS` until cancelled."""
        try:
            while True:
                for path in [path for path in self._announcements if path not in self._folders]:
                    self._drop(path)
                for path, settings in list(self._folders.items()):
                    await self._check(path, settings)
                await asyncio.sleep(until_next(CHECK_INTERVAL_SECONDS))
        finally:
            for path in list(self._announcements):
                self._drop(path)

    async def _check(self, path: str, settings: Folder) -> None:
        try:
            directory, state = await asyncio.to_thread(lambda: (os.stat(path), os.stat(self._state_dir)))
        except OSError:
            self._drop(path)
            return
        number = (directory.st_dev, directory.st_ino)
        if path in self._announcements and self._announcements[path].directory != number:
            self._drop(path)
        if path not in self._announcements:
            listener = watchers.announce_watch(directory, state)
            self._announcements[path] = _Announcement(directory=number, listener=listener)
        pids = await asyncio.to_thread(watchers.other_watchers, directory, state)
        self._warn(path, settings, pids)

    def _warn(self, path: str, settings: Folder, pids: list[int]) -> None:
        announcement = self._announcements[path]
        if pids and settings.after_upload.action != "keep" and not announcement.warned:
            log.warning(
                "folder.shared",
                folder=path,
                pids=pids,
                reason="another daemon watches it too and may miss files that are deleted or moved; use one daemon",
            )
        announcement.warned = bool(pids) and settings.after_upload.action != "keep"

    def _drop(self, path: str) -> None:
        announcement = self._announcements.pop(path, None)
        if announcement is not None and announcement.listener is not None:
            announcement.listener.close()
