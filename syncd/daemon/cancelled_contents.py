"""Hashes the files of cancelled jobs.

The same content then stays cancelled under another name or modification time. Runs in the background, one file at a
time. An unreadable file is tried again at the next cancel and at the next start.
"""

import asyncio
import hashlib

from syncd.core.errors import Failure
from syncd.core.model import Content
from syncd.core.states import Cause
from syncd.daemon.runtime import ListenerOrder, Runtime
from syncd.store.records import CancelledJob, Change
from syncd.upload.source import READ_BYTES, FileSource

BATCH_JOBS = 100


class CancelledContents:
    """Hashes the files of cancelled jobs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._wake = asyncio.Event()
        runtime.store.changes.subscribe(self._on_change, order=ListenerOrder.CANCELLED_CONTENTS)

    def _on_change(self, change: Change) -> None:
        if change.cause is Cause.CANCELLED:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            await self.hash_all()
            await self._wake.wait()

    async def hash_all(self) -> None:
        """Hash each cancelled file whose content is not recorded yet."""
        after = 0
        while jobs := await self._runtime.store.cancelled_unhashed(after=after, limit=BATCH_JOBS):
            for job in jobs:
                if sha256 := await self._sha256(job):
                    await self._runtime.store.save_cancelled_content(job, sha256)
            after = jobs[-1].id

    async def _sha256(self, job: CancelledJob) -> str | None:
        """Return the hash of the file; None if it is unreadable or has changed."""
        follow = self._runtime.folders.policy(job.folder).follow_symlinks
        try:
            source = await FileSource.open(
                job.folder, job.path, job.fingerprint, block_size=READ_BYTES, follow_symlinks=follow
            )
            try:
                return (await source.hash(_Sha256())).sha256
            finally:
                source.close()
        except Failure:
            return None


class _Sha256:
    kind = "sha256"

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0

    def update(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)

    def content(self) -> Content:
        digest = self._hash.hexdigest()
        return Content(key=digest, size=self._size, sha256=digest)
