"""Decides whether a local file may be deleted or moved after its upload.

A file may go only if its folder still selects it, and if every remote of the folder has confirmed its content within
the last hour: at its current address and account, with the strongest proof that its API supports.
:mod:`syncd.platform.removal` then checks that the bytes are unchanged and that no process can still write to the file.
"""

import hashlib
from collections.abc import Callable

from syncd.config.model import Folder
from syncd.core.errors import Failure
from syncd.core.model import Presence
from syncd.daemon.runtime import Runtime
from syncd.platform.removal import Digest, NotRemovedError, RemovalProof
from syncd.remotes.base import Hasher
from syncd.store.records import StoredContent, UploadedFile
from syncd.upload.worker import RemoteWorker
from syncd.watch.scanner import unfit

CONFIRMATION_MAX_AGE_SECONDS = 3600.0
"""A confirmation counts for this time."""
QUIET_CLOSED_SECONDS, QUIET_SECONDS = 60.0, 300.0
"""Time without events for a file before its removal, on systems that cannot report whether a file is open for writing:
after a close event, and without one."""
NOT_SELECTED = "its folder's patterns or recursive leave it out"


class DeletionCheck:
    """Checks files against the configuration and the store; ``clock`` is the wall clock."""

    def __init__(self, runtime: Runtime, *, clock: Callable[[], float]) -> None:
        self._runtime = runtime
        self._clock = clock

    async def check(self, folder: Folder, file: UploadedFile) -> None:
        """Raise ``NotRemovedError`` with the reason if the file must stay."""
        watch = self._runtime.folders.watches.get(folder.path)
        if watch is None or not watch.matches(file.path):
            raise NotRemovedError(NOT_SELECTED)
        if reason := unfit(file.fingerprint.size, max_size=folder.max_size):
            raise NotRemovedError(reason)
        known = {content.remote_id: content for content in file.contents}
        for name in folder.remotes:
            worker = self._runtime.scheduler.workers.get(name)
            content = known.get(self._runtime.remote_ids.get(name, -1))
            if worker is None or content is None:
                raise NotRemovedError(f"{name} is not known to have it any more")
            await self._confirm(worker, content)

    async def _confirm(self, worker: RemoteWorker, content: StoredContent) -> None:
        """Ask the server to confirm the content, unless a recent confirmation is sufficient."""
        remote = worker.endpoint.remote
        if content.terms != remote.terms:  # the server may expire a file that must be kept from now on
            raise NotRemovedError(f"{worker.name} has it under an earlier expired_at or encrypt_password")
        fresh = 0 <= self._clock() - content.confirmed_at < CONFIRMATION_MAX_AGE_SECONDS
        if fresh and content.proof >= remote.required_proof and not content.expires:
            return
        if worker.endpoint.down:
            raise NotRemovedError(f"{worker.name} is {worker.state} and can't confirm it")
        recorded = remote.recorded(key=content.key, ref=content.ref, size=content.size, sha256=content.sha256)
        try:
            async with worker.endpoint.request(content.key):
                answer = await remote.confirm(content.ref, recorded, thorough=True)
        except Failure:
            raise NotRemovedError(f"{worker.name} could not be asked to confirm it") from None
        if answer.presence is not Presence.YES or answer.proof < remote.required_proof:
            raise NotRemovedError(f"{worker.name} does not confirm it: {answer.reason or 'it does not say enough'}")
        await self._runtime.store.confirm(content.remote_id, content.key, answer.proof)

    def proven(self, file: UploadedFile) -> RemovalProof:
        """Return the properties that a checked file must still have when it is removed."""
        names = {number: name for name, number in self._runtime.remote_ids.items()}
        hashes = {content.sha256 for content in file.contents if content.sha256 is not None}
        digests: list[Digest] = [_Sha256(sha256) for sha256 in hashes]
        for content in file.contents:
            if content.sha256 is None:
                remote = self._runtime.scheduler.workers[names[content.remote_id]].endpoint.remote
                digests.append(_Key(remote.hasher_of(content.key, content.ref), content.key))
        quiet = self._clock() - file.seen_at >= (QUIET_CLOSED_SECONDS if file.closed else QUIET_SECONDS)
        return RemovalProof(fingerprint=file.fingerprint, digests=digests, quiet=quiet)


class _Sha256:
    """Compares the file with the SHA-256 of its uploaded content."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._hash = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Hash the next bytes."""
        self._hash.update(data)

    def matches(self) -> bool:
        """Return whether the hash of all bytes is the expected one."""
        return self._hash.hexdigest() == self._wanted


class _Key:
    """Compares the file with a remote's content key.

    For uploads by an earlier version of syncd, which did not record the SHA-256.
    """

    def __init__(self, hasher: Hasher, wanted: str) -> None:
        self._wanted = wanted
        self._hasher = hasher

    def update(self, data: bytes) -> None:
        """Hash the next bytes."""
        self._hasher.update(data)

    def matches(self) -> bool:
        """Return whether the key of all bytes is the expected one."""
        return self._hasher.content().key == self._wanted
