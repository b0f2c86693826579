"""Checks whether a receiver with given settings would work.

``syncd serve --check`` uses it. Each check returns one :class:`Result`. The checks of the folder create and remove
files in it.
"""

import os
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from syncd.platform.files import is_locked, sync_path
from syncd.receiver.errors import TlsFilesError
from syncd.receiver.file_io import create, open_fd
from syncd.receiver.serve import load_tls
from syncd.receiver.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of one check. `fix` is empty if `what` is no problem."""

    where: str
    what: str
    fix: str = ""


def check_receiver(settings: Settings, *, host: str, port: int, tls_files: tuple[str, str] | None) -> Iterator[Result]:
    """Yield the results of all checks.

    Creates the folder of the receiver if it is missing. `tls_files` are the certificate and its key.
    """
    folder = _check_folder(settings.folder)
    yield folder
    if not folder.fix:
        yield _check_space(settings)
        if settings.names:
            yield _check_names(settings.folder)
    yield _check_port(host, port)
    if tls_files is not None:
        yield _check_tls(*tls_files)
    yield _check_token(settings)


def _check_folder(folder: str) -> Result:
    where = f"folder {folder}"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if _is_in_use(folder):
            return Result(where=where, what="another receiver uses it", fix="end it, or set another --dir")
        with _test_file(folder) as path:
            sync_path(path)
            sync_path(folder)
    except OSError as error:
        return Result(where=where, what=_reason(error), fix="let this user write it, or set another --dir")
    return Result(where=where, what="can be written and flushed to the disk")


def _is_in_use(folder: str) -> bool:
    try:
        with open_fd(os.path.join(folder, "lock"), os.O_RDWR) as lock:
            return is_locked(lock)
    except FileNotFoundError:
        return False


def _check_space(settings: Settings) -> Result:
    free = shutil.disk_usage(settings.folder).free
    if free <= settings.reserve:
        what = f"{free} bytes are free, and the reserve is {settings.reserve} bytes"
        return Result(where="space", what=what, fix="free space on the disk, or set a smaller --reserve")
    return Result(where="space", what=f"{free - settings.reserve} bytes are free beyond the reserve")


def _check_names(folder: str) -> Result:
    names = os.path.join(folder, "names")
    try:
        os.makedirs(names, mode=0o700, exist_ok=True)
        with _test_file(folder) as path, _removed(os.path.join(names, os.path.basename(path))) as link:
            os.link(path, link)
    except OSError as error:
        fix = "omit --layout names, or set --dir to a file system with hard links"
        return Result(where=f"names {names}", what=f"no hard link is possible: {_reason(error)}", fix=fix)
    return Result(where=f"names {names}", what="hard links are possible")


def _check_port(host: str, port: int) -> Result:
    where = f"address {host} port {port}"
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                if sys.platform != "win32":  # as asyncio does; on Windows it would share the port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
                probe.listen(1)
    except OSError as error:
        return Result(where=where, what=_reason(error), fix="end the other program, or set another --host or --port")
    return Result(where=where, what="is free")


def _check_tls(certificate: str, key: str) -> Result:
    try:
        load_tls(certificate, key)
    except TlsFilesError as error:
        return Result(where="TLS", what=error.problem, fix=error.fix)
    return Result(where="TLS", what="the certificate and the key match")


def _check_token(settings: Settings) -> Result:
    if settings.token is None:
        return Result(where="token", what="none: any program that can reach the address can store files")
    return Result(where="token", what="is required")


@contextmanager
def _test_file(folder: str) -> Iterator[str]:
    with _removed(os.path.join(folder, f"check-{uuid.uuid4().hex}")) as path:
        create(path, b"syncd serve --check")
        yield path


@contextmanager
def _removed(path: str) -> Iterator[str]:
    """Yield `path`, and remove the file at the end."""
    try:
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
