"""Stores the uploads of one API: starts an upload, writes its chunks, finishes it.

The folder of a store contains

    building/<random>/    folders being created or deleted; emptied at the start
    unfinished/<key>/     an unfinished upload: plan.json, data (full size, sparse), arrived
    finished/<digest>/    a complete file: plan.json, data
    notes/<key>.json      the plan of a finished upload, for a client that missed the response

Keys and digests are validated hex, so no text from the network becomes a path. A new state of an upload is one rename
of its folder, and a new expiry is one replaced plan. A killed process leaves either the old state or the new one.

`arrived` holds one byte for each chunk. The receiver writes the chunk, then its byte in `arrived`, then answers. The
kernel has both before the answer, so they survive the end of the process. A power cut may lose either. The receiver
verifies the digest of the complete file before it moves the folder to finished/; if it differs, the upload is dropped.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import structlog

from syncd.receiver import file_io
from syncd.receiver.errors import DigestMismatchError, StorageFullError, TooManyUploadsError, UploadEndedError
from syncd.receiver.names import NamedLinks
from syncd.receiver.staging import Staging
from syncd.receiver.storage_limits import StorageLimits
from syncd.receiver.stored_files import StoredFiles
from syncd.receiver.upload import Plan, Upload

log = structlog.get_logger()


class Store:
    """The uploads and stored files of one API. `clock` returns epoch seconds.

    Private methods that are not coroutines block; they run in a thread.
    """

    def __init__(
        self,
        folder: str,
        *,
        limits: StorageLimits,
        names: NamedLinks | None,
        fsync: bool,
        max_unfinished: int,
        unfinished_age: float,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._staging = Staging(os.path.join(folder, "building"))
        self._unfinished = os.path.join(folder, "unfinished")
        self._stored_files = StoredFiles(
            os.path.join(folder, "finished"), self._staging, limits=limits, names=names, fsync=fsync, clock=clock
        )
        self._notes = os.path.join(folder, "notes")
        self._max_unfinished = max_unfinished
        self._age = unfinished_age
        self._clock = clock
        self._uploads: dict[str, Upload] = {}
        self._key_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def unfinished(self) -> int:
        """The number of unfinished uploads."""
        return len(self._uploads)

    async def recover(self) -> list[Upload]:
        """Load the state of an earlier process; return the unfinished uploads."""
        uploads = await asyncio.to_thread(self._recover)
        self._uploads = {upload.key: upload for upload in uploads}
        return uploads

    def _recover(self) -> list[Upload]:
        for folder in (self._folder, self._unfinished, self._notes):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self._staging.empty()
        self._stored_files.recover()
        return [upload for key in os.listdir(self._unfinished) if (upload := self._load(key))]

    def _load(self, key: str) -> Upload | None:
        folder = os.path.join(self._unfinished, key)
        marks = os.path.join(folder, "arrived")
        try:
            plan = Plan.load(file_io.read(os.path.join(folder, "plan.json")))
            arrived = file_io.read(marks).count(file_io.ARRIVED)
            last_chunk_at = os.stat(marks).st_mtime
        except (FileNotFoundError, ValueError, TypeError):  # possible after a power cut
            log.warning("receiver.damaged", upload=key)
            self._staging.discard(folder)
            return None
        self._limits.add_existing(plan.size)
        return self._upload(key, plan, arrived=arrived, last_chunk_at=last_chunk_at)

    def _upload(self, key: str, plan: Plan, *, arrived: int, last_chunk_at: float) -> Upload:
        folder = os.path.join(self._unfinished, key)
        return Upload(
            key=key, plan=plan, folder=folder, limits=self._limits, arrived=arrived, last_chunk_at=last_chunk_at
        )

    def get(self, key: str) -> Upload | None:
        """Return the unfinished upload with this key; None if it is unknown or expired."""
        upload = self._uploads.get(key)
        return None if upload is None or self._is_expired(upload) else upload

    def path(self, digest: str) -> str:
        """Return the path of a stored file's bytes."""
        return self._stored_files.path(digest)

    async def start(self, key: str, plan: Plan) -> Upload | Plan | None:
        """Start an upload, and return it.

        If its content is stored already, extend the expiry and return the stored plan. If an upload with that key is in
        progress, return None. Raises TooManyUploadsError and StorageFullError.
        """
        async with self._lock(key):
            if (known := self._uploads.get(key)) is not None:
                if not self._is_expired(known):
                    return None
                await self._drop(known)
            if len(self._uploads) >= self._max_unfinished:
                raise TooManyUploadsError
            stored = await asyncio.to_thread(self._start, key, plan)
            if stored is not None:
                return stored
            self._uploads[key] = upload = self._upload(key, plan, arrived=0, last_chunk_at=self._clock())
            return upload

    def _start(self, key: str, plan: Plan) -> Plan | None:
        stored = self._stored_files.renew(plan)
        if stored is None:
            with self._reserved(plan), self._staging.begin(plan) as folder:
                file_io.create(os.path.join(folder, "data"), size=plan.size)
                file_io.create(os.path.join(folder, "arrived"))
                os.rename(folder, os.path.join(self._unfinished, key))
        return stored

    @contextmanager
    def _reserved(self, plan: Plan) -> Iterator[None]:
        """Claim space for a plan; release it if the block fails. Raises StorageFullError."""
        self._limits.claim(plan.size)
        try:
            yield
        except BaseException:
            self._limits.release(plan.size)
            raise

    async def write(self, upload: Upload, index: int, data: bytes) -> bool:
        """Write a chunk as `Upload.write` does, and postpone the expiry of the upload."""
        upload.last_chunk_at = self._clock()
        return await upload.write(index, data)

    async def finish(self, upload: Upload) -> Plan:
        """Move a complete upload to the stored files, and return the stored plan.

        If the same content was stored before, that is the earlier plan with the later of both expiries. Raises
        DigestMismatchError and UploadEndedError.
        """
        async with self._lock(upload.key):
            if upload.ended:
                raise UploadEndedError
            upload.finishing = True
            try:
                stored = await asyncio.to_thread(self._finish, upload)
            except FileNotFoundError:
                self._forget(upload)
                raise UploadEndedError from None
            except DigestMismatchError:
                self._forget(upload)
                raise
            finally:
                upload.finishing = False
            self._forget(upload)
            return stored

    def _finish(self, upload: Upload) -> Plan:
        if not file_io.has_digest(os.path.join(upload.folder, "data"), upload.plan.digest):
            self._discard(upload)
            raise DigestMismatchError
        if upload.key != upload.plan.digest:  # otherwise the digest in the key leads to the result
            self._write_note(upload)
        return self._stored_files.add(upload.folder, upload.plan)

    def _write_note(self, upload: Upload) -> None:
        note = self._staging.write(upload.plan.dump())
        os.replace(note, os.path.join(self._notes, f"{upload.key}.json"))

    async def put(self, plan: Plan, data: bytes) -> Plan:
        """Store a complete file as `finish` does.

        Raises DigestMismatchError and StorageFullError.
        """
        return await asyncio.to_thread(self._put, plan, data)

    def _put(self, plan: Plan, data: bytes) -> Plan:
        try:
            return self._put_new(plan, data)
        except StorageFullError:  # content that is stored already needs no space
            stored = self._stored_files.renew(plan) if file_io.is_digest_of(plan.digest, data) else None
            if stored is None:
                raise
            return stored

    def _put_new(self, plan: Plan, data: bytes) -> Plan:
        with self._reserved(plan), self._staging.begin(plan) as folder:
            path = os.path.join(folder, "data")
            with self._limits.permit_write(plan.size):
                file_io.create(path, data)
            if not file_io.has_digest(path, plan.digest):
                raise DigestMismatchError
            return self._stored_files.add(folder, plan)

    async def stored(self, digest: str) -> Plan | None:
        """Return the plan of a stored file; None if there is none."""
        return await asyncio.to_thread(self._stored_files.find, digest)

    async def outcome(self, key: str) -> tuple[Plan, Plan] | None:
        """Return a finished upload's own plan and the stored plan of its content, or None."""
        return await asyncio.to_thread(self._outcome, key)

    def _outcome(self, key: str) -> tuple[Plan, Plan] | None:
        try:
            plan = Plan.load(file_io.read(os.path.join(self._notes, f"{key}.json")))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        stored = self._stored_files.find(plan.digest)
        return None if stored is None else (plan, stored)

    async def sweep(self) -> list[Upload]:
        """Drop expired uploads, notes and stored files; return the uploads."""
        dropped = []
        for upload in [upload for upload in self._uploads.values() if self._is_expired(upload)]:
            async with self._lock(upload.key):
                if not upload.ended and not upload.busy:
                    await self._drop(upload)
                    dropped.append(upload)
        await asyncio.to_thread(self._sweep)
        return dropped

    def _sweep(self) -> None:
        self._stored_files.sweep()
        with os.scandir(self._notes) as notes:
            for note in notes:
                if self._clock() - note.stat().st_mtime > self._age:
                    os.unlink(note.path)

    def _is_expired(self, upload: Upload) -> bool:
        return self._clock() - upload.last_chunk_at > self._age

    def _lock(self, key: str) -> asyncio.Lock:
        return self._key_locks.setdefault(key, asyncio.Lock())

    async def _drop(self, upload: Upload) -> None:
        self._forget(upload)
        await asyncio.to_thread(self._discard, upload)

    def _discard(self, upload: Upload) -> None:
        try:
            self._staging.discard(upload.folder)
        finally:
            self._limits.release(upload.plan.size)

    def _forget(self, upload: Upload) -> None:
        upload.ended = True
        self._uploads.pop(upload.key, None)
