"""Warns if another daemon of this machine watches the same folder.

Each daemon announces its folders to the others.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from syncd.config.model import Folder
from syncd.platform import watchers

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 10.0
"""Time between two checks for a replaced directory and for other daemons."""


@dataclass(kw_only=True, slots=True)
class _WatchMark:
    """The announcement of one folder, and whether a warning was logged."""

    directory: tuple[int, int]
    announcement: socket.socket | None
    warned: bool = False


class WatchMarks:
    """Keeps one announcement per folder of ``folders``, the watched folders by path."""

    def __init__(self, folders: Mapping[str, Folder], *, state_dir: str) -> None:
        self._folders = folders
        self._state_dir = state_dir
        self._marks: dict[str, _WatchMark] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                for path in [path for path in self._marks if path not in self._folders]:
                    self._drop(path)
                for path, settings in list(self._folders.items()):
                    await self._check(path, settings)
                await asyncio.sleep(CHECK_INTERVAL_SECONDS)
        finally:
            for path in list(self._marks):
                self._drop(path)

    async def _check(self, path: str, settings: Folder) -> None:
        try:
            directory, state = await asyncio.to_thread(lambda: (os.stat(path), os.stat(self._state_dir)))
        except OSError:
            self._drop(path)
            return
        number = (directory.st_dev, directory.st_ino)
        if path in self._marks and self._marks[path].directory != number:
            self._drop(path)
        if path not in self._marks:
            self._marks[path] = _WatchMark(directory=number, announcement=watchers.announce_watch(directory, state))
        pids = await asyncio.to_thread(watchers.other_watchers, directory, state)
        self._warn(path, settings, pids)

    def _warn(self, path: str, settings: Folder, pids: list[int]) -> None:
        mark = self._marks[path]
        if pids and settings.after_upload.action != "keep" and not mark.warned:
            log.warning(
                "folder.shared",
                folder=path,
                pids=pids,
                reason="another daemon watches it, and may miss what is deleted or moved: let one name all remotes",
            )
        mark.warned = bool(pids) and settings.after_upload.action != "keep"

    def _drop(self, path: str) -> None:
        mark = self._marks.pop(path, None)
        if mark is not None and mark.announcement is not None:
            mark.announcement.close()
