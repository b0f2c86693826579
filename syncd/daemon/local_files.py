"""Gives the control API access to local files: previews, originals and new files.

Files are opened with the same checks as for an upload.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import BinaryIO

import structlog

from syncd.asyncio_tools import cancel_and_wait
from syncd.config.model import Folder
from syncd.control.schemas import DroppedFile
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
from syncd.core.errors import Failure, FileGone
from syncd.core.filenames import safe_name
from syncd.core.text import printable
from syncd.daemon import dashboard_uploads
from syncd.daemon.runtime import Runtime
from syncd.platform.files import WINDOWS_NAMES
from syncd.preview.cache import Cache
from syncd.preview.previews import PreviewQueueFullError, Previews
from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer
from syncd.store.records import JobRecord
from syncd.upload.source import fingerprint_of, open_regular, valid_unicode
from syncd.watch.scanner import unfit

log = structlog.get_logger()

TEXT_PREVIEW_BYTES = 64 * 1024
PREVIEW_VERSION = 1
"""Increase this when previews are rendered differently, to invalidate those in browsers and in the cache."""
BROWSER_MEDIA_TYPES = {
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
"""Media types of the files that browsers display. SVG can contain scripts, see :data:`~syncd.control.service.SVG`."""


@asynccontextmanager
async def open_files(runtime: Runtime) -> AsyncGenerator["LocalFiles"]:
    """Provide access to the files during the context.

    At the start, remove leftovers of interrupted uploads from the folders.
    """
    previews = Previews(Cache(os.path.join(runtime.config.state_dir, "previews")), Renderer())
    # In the background, because a folder's file system can be slow or hang.
    cleanups = {
        folder: asyncio.create_task(asyncio.to_thread(dashboard_uploads.remove_leftovers, folder))
        for folder in runtime.folders.settings
    }
    try:
        yield LocalFiles(runtime, previews, cleanups)
    finally:
        await previews.close()
        await cancel_and_wait(*cleanups.values())


class LocalFiles(Files):
    """The files of the folders that are currently watched."""

    def __init__(self, runtime: Runtime, previews: Previews, cleanups: Mapping[str, "asyncio.Task[None]"]) -> None:
        self._runtime = runtime
        self._previews = previews
        self._cleanups = cleanups

    async def preview(self, job: int, edge: int, known: Collection[str]) -> Preview:
        """Return a thumbnail of a job's image file, or the beginning of its text file."""
        record, file = await self._open(job)
        with file:
            tag = _tag(file, edge)
            text = record.path.lower().endswith(".txt")
            media_type = "text/plain; charset=utf-8" if text else "image/webp"
            if tag in known:
                return Preview(tag=tag, media_type=media_type, body=None)
            if text:
                body = (await asyncio.to_thread(file.read, TEXT_PREVIEW_BYTES)).decode("utf-8", "replace").encode()
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
        media_type = BROWSER_MEDIA_TYPES.get(os.path.splitext(name)[1].lower())
        return Original(file=file, size=os.fstat(file.fileno()).st_size, name=name, media_type=media_type)

    async def _open(self, job: int) -> tuple[JobRecord, BinaryIO]:
        record = await self._runtime.store.job(job)
        if record is None:
            raise NotFoundError(f"there is no job {job}")
        settings = self._runtime.folders.settings.get(record.folder)
        if settings is None:
            raise NotFoundError(f"{printable(record.folder)} is not watched any more")
        try:
            return record, await asyncio.to_thread(_open_file, settings, record)
        except Failure as failure:
            raise NotFoundError(f"{printable(record.path)}: {failure}") from None

    async def drop(self, folder: str, name: str, size: int, content: AsyncIterator[bytes]) -> DroppedFile:
        """Save a new file in a watched folder."""
        watch, settings = self._runtime.folders.watches.get(folder), self._runtime.folders.settings.get(folder)
        if watch is None or settings is None:
            raise NotFoundError(f"{printable(folder)} is not watched")
        if watch.status.state == "offline":  # it may be the empty mount point of a missing file system
            raise NotFoundError(f"{printable(folder)} is offline: {watch.status.detail}")
        name = _safe_name(name)
        if not watch.matches(name):
            raise InvalidRequestError(f"{printable(name)} would not be uploaded: {_patterns(settings)}")
        if reason := unfit(size, max_size=settings.max_size):
            raise (TooLargeError if size else InvalidRequestError)(f"{printable(name)}: {reason}")
        if cleanup := self._cleanups.get(folder):
            await asyncio.shield(cleanup)  # it could remove a new file that is not locked yet
        token = secrets.token_bytes(8)
        final = await dashboard_uploads.save_upload(folder, name, size, content, is_selected=watch.matches, token=token)
        watch.request_rescan(final)  # for folders without events
        log.info("file.dropped", path=printable(final), folder=printable(folder), size=size)
        return {"path": printable(os.path.join(folder, final)), "name": final}


def _safe_name(name: str) -> str:
    try:
        return safe_name(name, windows=WINDOWS_NAMES)
    except ValueError as reason:
        raise InvalidRequestError(f"{printable(name)}: {reason}") from None


def _patterns(settings: Folder) -> str:
    left_out = f", and leaves out {' '.join(settings.exclude)}" if settings.exclude else ""
    return printable(f"the folder takes {' '.join(settings.include)}{left_out}")


def _open_file(settings: Folder, record: JobRecord) -> BinaryIO:
    """Open the file at its path, or in the folder to which it was moved after its upload."""
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
    """Return an ETag that depends on the file's fingerprint and the size of the preview."""
    fingerprint = fingerprint_of(os.fstat(file.fileno()))
    return hashlib.sha256(repr((fingerprint, edge, PREVIEW_VERSION)).encode()).hexdigest()[:32]
