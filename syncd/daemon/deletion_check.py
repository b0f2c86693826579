"""Whether a local file may be deleted or moved after its upload.

A file may go only if its folder still selects it, and if every remote of the folder has confirmed its content: at its
current address and account, with the proof that its kind of server allows for, and within the last hour. That its bytes
are still those, and that no process has it open for writing, is for :mod:`syncd.platform.removal` to find out.
"""

import hashlib
from collections.abc import Callable

from syncd.config.model import Folder
from syncd.core.errors import Failure
from syncd.core.model import Presence
from syncd.daemon.runtime import Runtime
from syncd.platform.removal import Digest, Kept, Proven
from syncd.remotes.base import Hasher
from syncd.store.records import StoredContent, UploadedFile
from syncd.upload.worker import RemoteWorker
from syncd.watch.scanner import unfit

FRESH = 3600.0
"""Seconds for which a confirmation counts."""
QUIET_CLOSED, QUIET = 60.0, 300.0
"""Seconds in which nothing must have happened to a file where no system call tells whether it is open for writing:
with an event that told of its being closed, and without."""
LEFT_OUT = "its folder's patterns or recursive leave it out"


class DeletionCheck:
    """Judges files by the configuration and the records that are in force. ``clock`` is the wall clock."""

    def __init__(self, runtime: Runtime, *, clock: Callable[[], float]) -> None:
        self._runtime = runtime
        self._clock = clock

    async def check(self, folder: Folder, file: UploadedFile) -> None:
        """Return if the file may go; :class:`~syncd.platform.removal.Kept` says why not."""
        watch = self._runtime.folders.watches.get(folder.path)
        if watch is None or not watch.matches(file.path):
            raise Kept(LEFT_OUT)
        if reason := unfit(file.fingerprint.size, max_size=folder.max_size):
            raise Kept(reason)
        known = {content.remote_id: content for content in file.contents}
        for name in folder.remotes:
            worker = self._runtime.scheduler.workers.get(name)
            content = known.get(self._runtime.remote_ids.get(name, -1))
            if worker is None or content is None:
                raise Kept(f"{name} is not known to have it any more")
            await self._confirm(worker, content)

    async def _confirm(self, worker: RemoteWorker, content: StoredContent) -> None:
        """Ask the server again, unless it has confirmed the content well enough a short while ago."""
        remote = worker.endpoint.remote
        if content.terms != remote.terms:  # the server may drop what is to be kept from now on
            raise Kept(f"{worker.name} has it under an earlier expired_at or encrypt_password")
        fresh = 0 <= self._clock() - content.confirmed_at < FRESH
        if fresh and content.proof >= remote.required_proof and not content.expires:
            return
        if worker.endpoint.down:
            raise Kept(f"{worker.name} is {worker.state} and can't confirm it")
        recorded = remote.recorded(key=content.key, ref=content.ref, size=content.size, sha256=content.sha256)
        try:
            async with worker.endpoint.request(content.key):
                answer = await remote.confirm(content.ref, recorded, thorough=True)
        except Failure:
            raise Kept(f"{worker.name} could not be asked to confirm it") from None
        if answer.presence is not Presence.YES or answer.proof < remote.required_proof:
            raise Kept(f"{worker.name} does not confirm it: {answer.reason or 'it does not say enough'}")
        await self._runtime.store.confirm(content.remote_id, content.key, answer.proof)

    def proven(self, file: UploadedFile) -> Proven:
        """Return what is known about a file that :meth:`check` let pass."""
        names = {number: name for name, number in self._runtime.remote_ids.items()}
        hashes = {content.sha256 for content in file.contents if content.sha256 is not None}
        digests: list[Digest] = [_Sha256(sha256) for sha256 in hashes]
        for content in file.contents:
            if content.sha256 is None:
                remote = self._runtime.scheduler.workers[names[content.remote_id]].endpoint.remote
                digests.append(_Key(remote.hasher_of(content.key, content.ref), content.key))
        quiet = self._clock() - file.seen_at >= (QUIET_CLOSED if file.closed else QUIET)
        return Proven(fingerprint=file.fingerprint, digests=digests, quiet=quiet)


class _Sha256:
    """The SHA-256 that the file's bytes had when they were uploaded."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._hash = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    def matches(self) -> bool:
        """Say whether all of them have that hash."""
        return self._hash.hexdigest() == self._wanted


class _Key:
    """The content key of a remote, for what an earlier version of syncd has uploaded and kept no SHA-256 of."""

    def __init__(self, hasher: Hasher, wanted: str) -> None:
        self._wanted = wanted
        self._hasher = hasher

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hasher.update(data)

    def matches(self) -> bool:
        """Say whether all of them have that key."""
        return self._hasher.content().key == self._wanted
