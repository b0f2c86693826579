"""Uploads on disk: start one, write chunks at their offsets, tell which are there, finish.

A store has a folder of its own, laid out as

    building/<random>/    folders being put together or thrown away; emptied at start
    unfinished/<key>/     an upload under way: plan.json, data (full size, sparse), arrived
    finished/<digest>/    a whole file: plan.json, data
    notes/<key>.json      the plan of an upload that has finished, for a client that missed the answer

Keys and digests are validated hex, so nothing from the network becomes a path. Every change of state is one
rename of a folder, and every change of an expiry one of a plan: a kill leaves what was before it or what is after it.

`arrived` holds one byte a chunk. A chunk's bytes are written first, then its byte there, then the client is
answered. Both are in the kernel by then and outlive the process. A power cut may lose some of either; the
digest of the whole, compared before the folder moves to finished/, finds that out and the upload starts over.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import structlog

from syncd.receiver import disk
from syncd.receiver.building import Building
from syncd.receiver.errors import Gone, NoRoom, TooManyUnfinished, WrongDigest
from syncd.receiver.finished import Finished
from syncd.receiver.space import Space
from syncd.receiver.upload import Plan, Upload

log = structlog.get_logger()


class Store:
    """The uploads of one API and what came of them. `clock` gives epoch seconds.

    Methods with an underscore that are not coroutines block, and run in a thread.
    """

    def __init__(
        self,
        folder: str,
        *,
        space: Space,
        fsync: bool,
        max_unfinished: int,
        unfinished_age: float,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._space = space
        self._building = Building(os.path.join(folder, "building"))
        self._unfinished = os.path.join(folder, "unfinished")
        self._finished = Finished(
            os.path.join(folder, "finished"), self._building, space=space, fsync=fsync, clock=clock
        )
        self._notes = os.path.join(folder, "notes")
        self._max_unfinished = max_unfinished
        self._age = unfinished_age
        self._clock = clock
        self._uploads: dict[str, Upload] = {}
        self._key_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def unfinished(self) -> int:
        """How many uploads are under way."""
        return len(self._uploads)

    async def recover(self) -> list[Upload]:
        """Take up what an earlier process left; return the uploads under way."""
        uploads = await asyncio.to_thread(self._recover)
        self._uploads = {upload.key: upload for upload in uploads}
        return uploads

    def _recover(self) -> list[Upload]:
        for folder in (self._folder, self._unfinished, self._notes):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self._building.empty()
        self._finished.recover()
        return [upload for key in os.listdir(self._unfinished) if (upload := self._recall(key))]

    def _recall(self, key: str) -> Upload | None:
        folder = os.path.join(self._unfinished, key)
        marks = os.path.join(folder, "arrived")
        try:
            plan = Plan.load(disk.read(os.path.join(folder, "plan.json")))
            arrived = disk.read(marks).count(disk.ARRIVED)
            touched = os.stat(marks).st_mtime
        except (FileNotFoundError, ValueError, TypeError):  # a power cut can leave that
            log.warning("receiver.damaged", upload=key)
            self._building.discard(folder)
            return None
        self._space.count(plan.size)
        return self._upload(key, plan, arrived=arrived, touched=touched)

    def _upload(self, key: str, plan: Plan, *, arrived: int, touched: float) -> Upload:
        folder = os.path.join(self._unfinished, key)
        return Upload(key=key, plan=plan, folder=folder, space=self._space, arrived=arrived, touched=touched)

    def get(self, key: str) -> Upload | None:
        """Return the upload under way with this key, unless it has expired."""
        upload = self._uploads.get(key)
        return None if upload is None or self._is_expired(upload) else upload

    def path(self, digest: str) -> str:
        """Tell where the bytes of a stored file are."""
        return self._finished.path(digest)

    async def start(self, key: str, plan: Plan) -> Upload | Plan | None:
        """Start an upload. Where its content is stored return that plan, with the later expiry of both, instead.

        None when an upload with that key is under way. Raises TooManyUnfinished and NoRoom.
        """
        async with self._lock(key):
            if (known := self._uploads.get(key)) is not None:
                if not self._is_expired(known):
                    return None
                await self._drop(known)
            if len(self._uploads) >= self._max_unfinished:
                raise TooManyUnfinished
            stored = await asyncio.to_thread(self._start, key, plan)
            if stored is not None:
                return stored
            self._uploads[key] = upload = self._upload(key, plan, arrived=0, touched=self._clock())
            return upload

    def _start(self, key: str, plan: Plan) -> Plan | None:
        stored = self._finished.renew(plan)
        if stored is None:
            with self._claimed(plan), self._building.begin(plan) as folder:
                disk.create(os.path.join(folder, "data"), size=plan.size)
                disk.create(os.path.join(folder, "arrived"))
                os.rename(folder, os.path.join(self._unfinished, key))
        return stored

    @contextmanager
    def _claimed(self, plan: Plan) -> Iterator[None]:
        """Count the bytes of a plan, which is taken back when what is done in the context fails. Raises NoRoom."""
        self._space.claim(plan.size)
        try:
            yield
        except BaseException:
            self._space.release(plan.size)
            raise

    async def write(self, upload: Upload, index: int, data: bytes) -> bool:
        """Write a chunk as `Upload.write` does, and keep the upload from expiring."""
        upload.touched = self._clock()
        return await upload.write(index, data)

    async def finish(self, upload: Upload) -> Plan:
        """Move a complete upload into place; return the plan that is stored under its digest.

        That is another upload's plan, with the later expiry of both, when the same content came twice. Raises
        WrongDigest and Gone.
        """
        async with self._lock(upload.key):
            if upload.ended:
                raise Gone
            upload.finishing = True
            try:
                stored = await asyncio.to_thread(self._finish, upload)
            except FileNotFoundError:
                self._forget(upload)
                raise Gone from None
            except WrongDigest:
                self._forget(upload)
                raise
            finally:
                upload.finishing = False
            self._forget(upload)
            return stored

    def _finish(self, upload: Upload) -> Plan:
        if not disk.has_digest(os.path.join(upload.folder, "data"), upload.plan.digest):
            self._discard(upload)
            raise WrongDigest
        if upload.key != upload.plan.digest:  # else the digest itself tells what became of it
            self._note(upload)
        return self._finished.place(upload.folder, upload.plan)

    def _note(self, upload: Upload) -> None:
        note = self._building.write(upload.plan.dump())
        os.replace(note, os.path.join(self._notes, f"{upload.key}.json"))

    async def put(self, plan: Plan, data: bytes) -> Plan:
        """Store a file that came whole, as `finish` does. Raises WrongDigest and NoRoom."""
        return await asyncio.to_thread(self._put, plan, data)

    def _put(self, plan: Plan, data: bytes) -> Plan:
        try:
            return self._put_anew(plan, data)
        except NoRoom:  # what is here already needs none
            stored = self._finished.renew(plan) if disk.is_digest_of(plan.digest, data) else None
            if stored is None:
                raise
            return stored

    def _put_anew(self, plan: Plan, data: bytes) -> Plan:
        with self._claimed(plan), self._building.begin(plan) as folder:
            path = os.path.join(folder, "data")
            with self._space.writing(plan.size):
                disk.create(path, data)
            if not disk.has_digest(path, plan.digest):
                raise WrongDigest
            return self._finished.place(folder, plan)

    async def stored(self, digest: str) -> Plan | None:
        """Return the plan of a stored file; None when there is none."""
        return await asyncio.to_thread(self._finished.find, digest)

    async def outcome(self, key: str) -> tuple[Plan, Plan] | None:
        """Return a finished upload's own plan and the one stored under its digest; None when unknown."""
        return await asyncio.to_thread(self._outcome, key)

    def _outcome(self, key: str) -> tuple[Plan, Plan] | None:
        try:
            plan = Plan.load(disk.read(os.path.join(self._notes, f"{key}.json")))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        stored = self._finished.find(plan.digest)
        return None if stored is None else (plan, stored)

    async def sweep(self) -> list[Upload]:
        """Drop what has expired: uploads (returned), notes and stored files."""
        dropped = []
        for upload in [upload for upload in self._uploads.values() if self._is_expired(upload)]:
            async with self._lock(upload.key):
                if not upload.ended and not upload.busy:
                    await self._drop(upload)
                    dropped.append(upload)
        await asyncio.to_thread(self._sweep)
        return dropped

    def _sweep(self) -> None:
        self._finished.sweep()
        with os.scandir(self._notes) as notes:
            for note in notes:
                if self._clock() - note.stat().st_mtime > self._age:
                    os.unlink(note.path)

    def _is_expired(self, upload: Upload) -> bool:
        return self._clock() - upload.touched > self._age

    def _lock(self, key: str) -> asyncio.Lock:
        return self._key_locks.setdefault(key, asyncio.Lock())

    async def _drop(self, upload: Upload) -> None:
        self._forget(upload)
        await asyncio.to_thread(self._discard, upload)

    def _discard(self, upload: Upload) -> None:
        try:
            self._building.discard(upload.folder)
        finally:
            self._space.release(upload.plan.size)

    def _forget(self, upload: Upload) -> None:
        upload.ended = True
        self._uploads.pop(upload.key, None)
