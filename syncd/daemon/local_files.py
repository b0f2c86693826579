"""The local files behind the jobs, as the control API asks for them: opened as an upload opens them, or not at all."""

import asyncio
import hashlib
import os
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import BinaryIO

import structlog

from syncd.config.model import Folder
from syncd.control.service import (
    SVG,
    BusyError,
    Files,
    InvalidRequestError,
    NotFoundError,
    Original,
    Preview,
    TooLargeError,
)
from syncd.control.shapes import DroppedFile
from syncd.core.errors import Failure, FileGone
from syncd.core.filenames import safe_name
from syncd.core.text import printable
from syncd.daemon import inbox
from syncd.daemon.runtime import Runtime
from syncd.preview.cache import Cache
from syncd.preview.previews import PreviewQueueFullError, Previews
from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer
from syncd.store.records import JobRecord
from syncd.upload.source import fingerprint_of, open_regular, valid_unicode
from syncd.watch.scanner import unfit

log = structlog.get_logger()

TEXT_SIZE = 64 * 1024
"""Bytes of a text that are shown."""
GENERATION = 1
"""Another number for previews that are made in another way: those that browsers and the cache hold are stale then."""
SHOWN_BY_BROWSERS = {
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".svg": SVG,
    ".ico": "image/x-icon",
    ".jfif": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""An SVG is a picture within a page, and a program as a page of its own: see :data:`~syncd.control.service.SVG`."""


@asynccontextmanager
async def open_files(runtime: Runtime) -> AsyncGenerator["LocalFiles"]:
    """Have the files at hand as long as the context lasts; what a crash has left of new ones is removed."""
    previews = Previews(Cache(os.path.join(runtime.config.state_dir, "previews")), Renderer())
    # Beside all else: the file system of a folder may take its time, or not answer at all.
    swept = {folder: asyncio.create_task(asyncio.to_thread(inbox.sweep, folder)) for folder in runtime.folders.settings}
    try:
        yield LocalFiles(runtime, previews, swept)
    finally:
        await previews.close()
        for task in swept.values():
            task.cancel()
        await asyncio.gather(*swept.values(), return_exceptions=True)


class LocalFiles(Files):
    """The files of the folders that are watched now."""

    def __init__(self, runtime: Runtime, previews: Previews, swept: Mapping[str, "asyncio.Task[None]"]) -> None:
        self._runtime = runtime
        self._previews = previews
        self._swept = swept

    async def preview(self, job: int, edge: int, known: Collection[str]) -> Preview:
        """Return a small picture of a job's file, or its text."""
        record, file = await self._open(job)
        with file:
            tag = _tag(file, edge)
            text = record.path.lower().endswith(".txt")
            media_type = "text/plain; charset=utf-8" if text else "image/webp"
            if tag in known:
                return Preview(tag=tag, media_type=media_type, body=None)
            if text:
                body = (await asyncio.to_thread(file.read, TEXT_SIZE)).decode("utf-8", "replace").encode()
            else:
                body = await self._picture(record, file, tag, edge)
            return Preview(tag=tag, media_type=media_type, body=body)

    async def _picture(self, record: JobRecord, file: BinaryIO, tag: str, edge: int) -> bytes:
        try:
            return await self._previews.get(file.fileno(), tag, edge)
        except NoPreviewError as reason:
            raise NotFoundError(f"{printable(record.path)}: {reason}") from None
        except PreviewQueueFullError as reason:
            raise BusyError(str(reason)) from None

    async def original(self, job: int) -> Original:
        """Open a job's file."""
        record, file = await self._open(job)
        name = valid_unicode(os.path.basename(record.path))
        media_type = SHOWN_BY_BROWSERS.get(os.path.splitext(name)[1].lower())
        return Original(file=file, size=os.fstat(file.fileno()).st_size, name=name, media_type=media_type)

    async def _open(self, job: int) -> tuple[JobRecord, BinaryIO]:
        record = await self._runtime.store.job(job)
        if record is None:
            raise NotFoundError(f"there is no job {job}")
        settings = self._runtime.folders.settings.get(record.folder)
        if settings is None:
            raise NotFoundError(f"{printable(record.folder)} is not watched any more")
        try:
            return record, await asyncio.to_thread(_opened, settings, record)
        except Failure as failure:
            raise NotFoundError(f"{printable(record.path)}: {failure}") from None

    async def drop(self, folder: str, name: str, size: int, content: AsyncIterator[bytes]) -> DroppedFile:
        """Put a file into a watched folder."""
        watch, settings = self._runtime.folders.watches.get(folder), self._runtime.folders.settings.get(folder)
        if watch is None or settings is None:
            raise NotFoundError(f"{printable(folder)} is not watched")
        if watch.status.state == "offline":  # it may be the place of a file system that is missing
            raise NotFoundError(f"{printable(folder)} is offline: {watch.status.detail}")
        name = _checked(name)
        if not watch.matches(name):
            raise InvalidRequestError(f"{printable(name)} would not be uploaded: {_patterns(settings)}")
        if reason := unfit(size, max_size=settings.max_size):
            raise (TooLargeError if size else InvalidRequestError)(f"{printable(name)}: {reason}")
        if sweeping := self._swept.get(folder):
            await asyncio.shield(sweeping)  # it could take a file that is not locked yet for one of the dead
        token = secrets.token_bytes(8)
        final = await inbox.save_upload(folder, name, size, content, takes=watch.matches, token=token)
        watch.request_rescan(final)  # where no event tells
        log.info("file.dropped", path=printable(final), folder=printable(folder), size=size)
        return {"path": printable(os.path.join(folder, final)), "name": final}


def _checked(name: str) -> str:
    try:
        return safe_name(name, windows=sys.platform == "win32")
    except ValueError as reason:
        raise InvalidRequestError(f"{printable(name)}: {reason}") from None


def _patterns(settings: Folder) -> str:
    left_out = f", and leaves out {' '.join(settings.exclude)}" if settings.exclude else ""
    return printable(f"the folder takes {' '.join(settings.include)}{left_out}")


def _opened(settings: Folder, record: JobRecord) -> BinaryIO:
    """Open the file where it was, or where it was moved to after its upload."""
    try:
        descriptor = open_regular(settings.path, record.path, follow_symlinks=settings.follow_symlinks)
    except FileGone:
        if settings.after_upload.action == "delete":
            raise FileGone("the file is gone: after_upload deletes what was uploaded") from None
        if settings.after_upload.directory is None:
            raise
        descriptor = open_regular(settings.after_upload.directory, record.path, follow_symlinks=False)
        if os.fstat(descriptor).st_size != record.size:
            os.close(descriptor)
            raise FileGone("the file is gone: after_upload moved it, and another has its name there") from None
    return open(descriptor, "rb", buffering=0)


def _tag(file: BinaryIO, edge: int) -> str:
    """Return what changes with the file's state and with how it is shown."""
    fingerprint = fingerprint_of(os.fstat(file.fileno()))
    return hashlib.sha256(repr((fingerprint, edge, GENERATION)).encode()).hexdigest()[:32]
