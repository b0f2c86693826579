"""Applies tokens and certificates that change in their files while the daemon runs."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from syncd import logs
from syncd.asyncio_tools import until_next
from syncd.config import remote_values
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.config.secret_files import read_secret
from syncd.core.errors import Failure
from syncd.daemon.runtime import Runtime
from syncd.remotes import tls

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 2.0
"""Time between two checks of the files. A server that rejects the old token does not trigger a check."""

Settings = ImageRemote | MultipartRemote


class CredentialRenewal:
    """Replaces the client of a remote when its token or certificate file changes.

    ``lock`` is held while the remotes change; ``suspended()`` prevents removals of local files during its context.
    """

    def __init__(
        self, runtime: Runtime, *, lock: asyncio.Lock, suspended: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        self._runtime = runtime
        self._lock = lock
        self._suspended = suspended
        self.problems: dict[str, str] = {}
        """For each remote whose files are unusable: the reason. The earlier credentials stay in use."""

    async def run(self) -> None:
        """Check the files every :data:`CHECK_INTERVAL_SECONDS`."""
        while True:
            await asyncio.sleep(until_next(CHECK_INTERVAL_SECONDS))
            async with self._lock:
                await self.check()

    async def check(self) -> list[str]:
        """Apply changed files; return a line for each remote with renewed or unusable credentials."""
        found = [await self._check_remote(name, settings) for name, settings in self._runtime.config.remotes.items()]
        self.problems = {name: text for name, text in self.problems.items() if name in self._runtime.config.remotes}
        return [line for line in found if line]

    async def _check_remote(self, name: str, settings: Settings) -> str | None:
        if settings.token_file is None and not tls.files(settings):
            return None
        try:
            renewed, changed = await asyncio.to_thread(_read_credentials, settings, self._runtime.certificates[name])
        except Failure as failure:
            return self._refuse(name, failure.problem)
        self.problems.pop(name, None)
        if not changed:
            return None
        logs.add_secrets(renewed.secrets())
        async with self._suspended():
            await self._runtime.renew_remote(name, renewed)
        log.info("remote.renewed", remote=name, changed=changed)
        return f"remote {name}: {', '.join(changed)} renewed"

    def _refuse(self, name: str, reason: str) -> str:
        if self.problems.get(name) != reason:
            log.warning("remote.renewal_failed", remote=name, reason=reason)
        self.problems[name] = reason
        return f"remote {name}: {reason}; the earlier credentials stay in use"


def _read_credentials(settings: Settings, before: dict[str, bytes | None]) -> tuple[Settings, list[str]]:
    """Return the settings with the current token, and the keys of the changed files.

    ``before`` is an earlier result of :func:`syncd.remotes.tls.digests`. Failure if a changed file is unusable.
    """
    changed = [key for key, digest in tls.digests(settings).items() if digest != before.get(key)]
    token = _token(settings)
    if token != settings.token:
        changed.append("token_file")
        settings = settings.model_copy(update={"token": token})
    if changed and urlsplit(settings.url).scheme == "https":
        tls.context(settings)
    return settings, changed


def _token(settings: Settings) -> SecretStr | None:
    file = settings.token_file
    if file is None:
        return settings.token
    try:
        return remote_values.token(read_secret(file))
    except OSError as error:
        raise Failure(f"token_file {file} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise Failure(f"token_file {file} can't be used: {error}") from None
