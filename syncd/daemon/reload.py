"""Applies a changed configuration to the running daemon.

Only changed remotes and folders are restarted; everything else continues.
"""

import asyncio

import structlog

from syncd import logs
from syncd.config.load import ConfigError, Loaded, load
from syncd.config.model import Config
from syncd.control.service import InvalidConfigError
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.credential_renewal import CredentialRenewal
from syncd.daemon.notifications import Notifications
from syncd.daemon.runtime import Runtime

log = structlog.get_logger()

RESTART_KEYS = ("state_dir", "store", "control")
"""Settings that a reload cannot apply."""


async def load_again(loaded: Loaded) -> Loaded:
    """Read the configuration file again; log and raise InvalidConfigError if it has problems."""
    try:
        return await asyncio.to_thread(load, loaded.path)
    except ConfigError as error:
        raise _refused([str(problem) for problem in error.problems]) from None


def configure_logging(loaded: Loaded) -> None:
    """Apply the logging settings, and redact the new secrets; raise InvalidConfigError."""
    try:
        logs.configure_from(loaded.config)
    except OSError as error:
        raise _refused([f"{loaded.path}: logging.file: can't be opened: {error.strerror}"]) from None


def _refused(problems: list[str]) -> InvalidConfigError:
    log.error("daemon.reload_refused", problems=problems)
    return InvalidConfigError(problems)


class Reload:
    """Applies configurations to ``runtime`` and the tasks that work with it."""

    def __init__(
        self,
        runtime: Runtime,
        after_upload: AfterUploadTask,
        renewal: CredentialRenewal,
        notifications: Notifications,
    ) -> None:
        self._runtime = runtime
        self._after_upload = after_upload
        self._renewal = renewal
        self._notifications = notifications

    async def apply(self, new: Config) -> list[str]:
        """Apply ``new``; return one line per change. The caller has suspended ``after_upload``."""
        runtime, old = self._runtime, self._runtime.config
        runtime.config = new
        runtime.job_log.each_file = new.logging.each_file
        changes = []
        if new.logging != old.logging:
            changes.append("logging")
        if new.notify != old.notify:
            changes.append("notify")
            self._notifications.configure(new.notify)
        changes += [f"scheduler.{key}" for key in runtime.limit(new.scheduler)]
        changes += await self._apply_remotes(old, new)
        changes += await self._renewal.check()
        changes += await self._apply_folders(old, new)
        await self._after_upload.configure()
        changes += await self._describe_removals(old, new)
        for key in RESTART_KEYS:
            if getattr(new, key) != getattr(old, key):
                changes.append(f"{key}: takes effect at the next restart")
        return changes

    async def _apply_remotes(self, old: Config, new: Config) -> list[str]:
        """Replace the workers of changed remotes; unchanged remotes keep uploading."""
        runtime = self._runtime
        removed = [name for name in old.remotes if old.remotes[name] != new.remotes.get(name)]
        for name in removed:
            await runtime.remove_remote(name)
        added = [name for name in new.remotes if name not in runtime.remote_ids]
        for name in added:
            await runtime.add_remote(name, new.remotes[name])
        return [f"remote {name}" for name in dict.fromkeys([*removed, *added])]

    async def _apply_folders(self, old: Config, new: Config) -> list[str]:
        """Restart the watches of folders whose settings or remotes have changed."""
        runtime = self._runtime
        before = {folder.path: folder for folder in old.folders}
        after = {folder.path: folder for folder in new.folders}
        changed_remotes = {name for name in old.remotes if old.remotes[name] != new.remotes.get(name)}
        removed = [
            path
            for path, folder in before.items()
            if folder != after.get(path) or changed_remotes.intersection(folder.remotes)
        ]
        for path in removed:
            await runtime.folders.remove(path)
        added = [path for path in after if path not in runtime.folders.watches]
        for path in added:
            runtime.folders.add(after[path], runtime.ids_of(after[path].remotes))
        runtime.folders.start()
        return [f"folder {path}" for path in dict.fromkeys([*removed, *added])]

    async def _describe_removals(self, old: Config, new: Config) -> list[str]:
        """Return a line for each folder that now begins to delete or move files."""
        before = {folder.path: folder.after_upload for folder in old.folders}
        return [
            f"folder {folder.path}: after_upload is {folder.after_upload.action} now, which affects "
            f"{await self._after_upload.removable_count(folder)} files that are uploaded already"
            for folder in new.folders
            if folder.after_upload.action != "keep" and folder.after_upload != before.get(folder.path)
        ]
