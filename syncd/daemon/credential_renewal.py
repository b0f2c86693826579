"""Tokens and certificates that are renewed in their files while the daemon runs."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from syncd import logs
from syncd.config import remote_values
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.config.tokens import token_in
from syncd.core.errors import Failure
from syncd.daemon.runtime import Runtime
from syncd.remotes import tls

log = structlog.get_logger()

INTERVAL = 2.0
"""Seconds between two looks at the files: a server that refuses what is outdated is not waited for."""

Settings = ImageRemote | MultipartRemote


class CredentialRenewal:
    """Has each remote use what its files hold now.

    ``busy`` is held by whoever changes the remotes; no local file is removed in the context ``suspended``.
    """

    def __init__(
        self, runtime: Runtime, *, busy: asyncio.Lock, suspended: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        self._runtime = runtime
        self._busy = busy
        self._suspended = suspended
        self.problems: dict[str, str] = {}
        """Why what a remote's files hold now is not in use."""

    async def run(self) -> None:
        """Look at the files every few seconds."""
        while True:
            await asyncio.sleep(INTERVAL)
            async with self._busy:
                await self.look()

    async def look(self) -> list[str]:
        """Take up what was renewed; return a line for each remote that has renewed or unusable credentials."""
        found = [await self._look_at(name, settings) for name, settings in self._runtime.config.remotes.items()]
        self.problems = {name: text for name, text in self.problems.items() if name in self._runtime.config.remotes}
        return [line for line in found if line]

    async def _look_at(self, name: str, settings: Settings) -> str | None:
        if settings.token_file is None and not tls.files(settings):
            return None
        try:
            renewed, changed = await asyncio.to_thread(_renewed, settings, self._runtime.certificates[name])
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
        return f"remote {name}: {reason}; what it held before stays in use"


def _renewed(settings: Settings, before: dict[str, bytes | None]) -> tuple[Settings, list[str]]:
    """Return the settings with the token that its file holds now, and the keys whose files have changed.

    ``before`` is what :func:`syncd.remotes.tls.digests` said. Failure if what has changed can't be used.
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
        return remote_values.token(token_in(file))
    except OSError as error:
        raise Failure(f"token_file {file} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise Failure(f"token_file {file} can't be used: {error}") from None
