"""Assembles the receiver: both APIs, their stores, and the removal of old uploads."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

import structlog
from aiohttp import web

from syncd.platform.files import lock_file
from syncd.receiver.body_reader import BodyReader
from syncd.receiver.counters import Counters
from syncd.receiver.errors import FolderInUseError
from syncd.receiver.file_io import open_fd
from syncd.receiver.hosts import own_names
from syncd.receiver.image import ImageApi
from syncd.receiver.middleware import make_middleware
from syncd.receiver.multipart import MultipartApi
from syncd.receiver.names import NamedLinks
from syncd.receiver.settings import Settings
from syncd.receiver.storage import Store
from syncd.receiver.storage_limits import StorageLimits

log = structlog.get_logger()


def make_app(settings: Settings, *, host: str = "127.0.0.1", clock: Callable[[], float] = time.time) -> web.Application:
    """Return the application of a receiver that listens at `host`.

    `clock` returns epoch seconds. The start of the application raises FolderInUseError, or OSError if the folder is not
    usable.
    """
    counters = Counters()
    body_reader = BodyReader(
        idle_timeout=settings.idle_timeout,
        min_bytes_per_second=settings.min_bytes_per_second,
        max_buffered=settings.max_buffered,
    )
    limits = StorageLimits(settings.folder, quota=settings.quota, reserve=settings.reserve)
    images = _store(settings, "images", limits, None, clock)  # the image API has no file names
    files = _store(settings, "files", limits, _names(settings), clock)
    image = ImageApi(store=images, body_reader=body_reader, counters=counters, settings=settings)
    multipart = MultipartApi(store=files, body_reader=body_reader, counters=counters, settings=settings, clock=clock)

    async def show_counters(_: web.Request) -> web.Response:
        stored = {} if limits.quota is None else {"stored_bytes": limits.used, "quota_bytes": limits.quota}
        return web.json_response({**asdict(counters), "unfinished": images.unfinished + files.unfinished, **stored})

    async def run(_: web.Application) -> AsyncIterator[None]:
        with _lock_folder(settings.folder):
            await image.recover()
            await multipart.recover()
            sweeping = asyncio.create_task(_keep_sweeping((images, files), counters, settings.unfinished_age))
            yield
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping

    names = own_names(host, settings.allowed_hosts)
    app = web.Application(middlewares=[make_middleware(settings, body_reader, counters, names=names)])
    app.add_routes([*image.routes(), *multipart.routes(), web.get("/v1/receiver", show_counters)])
    app.cleanup_ctx.append(run)
    return app


def _names(settings: Settings) -> NamedLinks | None:
    """Return the named links; None if there are none and the option `names` is off.

    An earlier process can have created links. The receiver removes them with their contents, also without the option.
    """
    folder = os.path.join(settings.folder, "names")
    return NamedLinks(folder, fsync=settings.fsync) if settings.names or os.path.isdir(folder) else None


def _store(
    settings: Settings, name: str, limits: StorageLimits, names: NamedLinks | None, clock: Callable[[], float]
) -> Store:
    return Store(
        os.path.join(settings.folder, name),
        limits=limits,
        names=names,
        fsync=settings.fsync,
        max_unfinished=settings.max_unfinished,
        unfinished_age=settings.unfinished_age,
        clock=clock,
    )


@contextmanager
def _lock_folder(folder: str) -> Iterator[None]:
    """Lock the folder; the kernel unlocks it when the process ends, even by a crash."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open_fd(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT) as lock:
        try:
            lock_file(lock)
        except BlockingIOError:
            raise FolderInUseError(f"{folder}: another receiver uses this folder") from None
        yield


async def _keep_sweeping(stores: tuple[Store, ...], counters: Counters, age: float) -> None:
    while True:
        await asyncio.sleep(min(age / 4, 3600))
        try:
            for store in stores:
                for upload in await store.sweep():
                    counters.expired += 1
                    log.info("receiver.expired", upload=upload.key, chunks=upload.arrived)
        except OSError as error:
            log.warning("receiver.sweep_failed", error=str(error))
