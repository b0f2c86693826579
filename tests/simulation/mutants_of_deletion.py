"""Mutants without one condition of a deletion, or of a file's identity."""

import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import bindparam, select

from syncd.config.model import Folder
from syncd.core.model import Proof
from syncd.daemon import deletion_check
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.deletion_check import DeletionCheck
from syncd.platform import move_target, openat, removal
from syncd.platform.read_lease import Writer
from syncd.platform.removable_file import RemovableFile
from syncd.remotes.image.client import ImageRemote
from syncd.remotes.multipart.client import MultipartRemote
from syncd.store import files as store_files
from syncd.store.job_rows import fingerprint_of
from syncd.store.schema import files
from syncd.upload import source
from syncd.watch import debounce, inspection
from syncd.watch.folder import FolderWatch
from tests.simulation.mutant import Mutant, replaced

Patch = Callable[[], AbstractContextManager[object]]
_REMOVAL, _DAEMON, _STORE = (
    "tests/platform/test_removal.py",
    "tests/daemon/test_after_upload.py",
    "tests/store/test_files.py",
)


def _mutant(promise: str, name: str, elsewhere: str, *patches: Patch) -> Mutant:
    return Mutant(name=name, promise=promise, applied=lambda: _all(*patches), elsewhere=elsewhere)


class _NoLease:
    """A lease that every file seems to have."""

    granted = Writer.NONE

    def __init__(self, descriptor: int) -> None: ...

    def __enter__(self) -> "_NoLease":
        return self

    def __exit__(self, *about: object) -> None: ...

    def broken(self) -> bool:
        return False


@contextlib.contextmanager
def _all(*patches: Patch) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for one in patches:
            stack.enter_context(one())
        yield


_sweep_folder = AfterUploadTask._sweep_folder
_confirm = DeletionCheck._confirm
_enter = openat.enter
_recover = AfterUploadTask.recover


async def _first_remote_only(self: AfterUploadTask, folder: Folder, *about: Any) -> Any:
    return await _sweep_folder(self, folder.model_copy(update={"remotes": folder.remotes[:1]}), *about)


async def _believed(self: DeletionCheck, lane: Any, content: Any) -> None:
    """Believe whatever was once confirmed."""
    if content.proof < lane.endpoint.remote.required_proof:
        await _confirm(self, lane, content)


async def _unasked(self: DeletionCheck, lane: Any, content: Any) -> None:
    """Believe whatever is done."""


def _enter_links(directory: int, name: str, *, make: bool = False) -> int:
    if make:
        return _enter(directory, name, make=True)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)


@contextlib.asynccontextmanager
async def _at_once(_: AfterUploadTask) -> AsyncGenerator[None]:
    yield


def _read_nothing(self: RemovableFile, digests: Any, stop: Any) -> str:
    return ""


async def _nothing_recovered(_: AfterUploadTask) -> None: ...


_ANY_WITH_INODE = select(files).where(files.c.inode.in_(bindparam("inodes", expanding=True)))


def _looks_new(row: Any, one: Any) -> bool:
    """Say whether a file is new, but not for its having been absent."""
    return bool(fingerprint_of(row) != store_files._fingerprint(one) or store_files._has_other_birth_time(row, one))


def _always(value: Any) -> Any:
    return property(lambda _: value)


DELETION_MUTANTS = [
    _mutant(
        "P8",
        "deletion: files that the folder no longer selects go too",
        _DAEMON,
        replaced(FolderWatch, "matches", lambda *_: True),
        replaced(deletion_check, "unfit", lambda *_, **__: None),
    ),
    _mutant(
        "P8",
        "deletion: the first remote is enough",
        _DAEMON,
        replaced(AfterUploadTask, "_sweep_folder", _first_remote_only),
    ),
    _mutant(
        "P8",
        "deletion: an old confirmation counts, and one that expires",
        _DAEMON,
        replaced(DeletionCheck, "_confirm", _believed),
    ),
    _mutant(
        "P8",
        "deletion: what is done needs no confirmation",
        _DAEMON,
        replaced(DeletionCheck, "_confirm", _unasked),
    ),
    _mutant(
        "P8",
        "deletion: no proof is needed",
        _DAEMON,
        replaced(ImageRemote, "required_proof", _always(Proof.NONE)),
        replaced(MultipartRemote, "required_proof", _always(Proof.NONE)),
    ),
    _mutant("P8", "deletion: no lease is asked for", _REMOVAL, replaced(removal, "ReadLease", _NoLease)),
    _mutant("P8", "deletion: the file is not read again", _REMOVAL, replaced(RemovableFile, "read", _read_nothing)),
    _mutant(
        "P8",
        "deletion: the stamp is not compared",
        _REMOVAL,
        replaced(RemovableFile, "check_unchanged", lambda _: None),
    ),
    _mutant(
        "P8",
        "deletion: the hidden file is not compared with the open one",
        _REMOVAL,
        replaced(RemovableFile, "_is_open", lambda *_: True),
    ),
    _mutant("P8", "deletion: links are followed on the way", _REMOVAL, replaced(openat, "enter", _enter_links)),
    _mutant(
        "P8",
        "deletion: a reload waits for no removal",
        _DAEMON,
        replaced(AfterUploadTask, "suspended", _at_once),
    ),
    _mutant(
        "P8",
        "deletion: an interrupted removal is not undone",
        _DAEMON,
        replaced(AfterUploadTask, "recover", _nothing_recovered),
    ),
    _mutant(
        "P8",
        "deletion: the target's file system is not looked at",
        _REMOVAL,
        replaced(move_target, "file_system_id", lambda *_: 1),
    ),
    _mutant(
        "P8",
        "deletion: a quiet file needs no minute of rest",
        _DAEMON,
        replaced(deletion_check, "QUIET_SECONDS", 0.0),
        replaced(deletion_check, "QUIET_CLOSED_SECONDS", 0.0),
    ),
    _mutant(
        "P1",
        "identity: what the daemon has removed may have been renamed",
        _STORE,
        replaced(store_files, "_WITH_INODE", _ANY_WITH_INODE),
    ),
    _mutant(
        "P1",
        "identity: what was absent keeps its version",
        _STORE,
        replaced(store_files, "_is_new_version", _looks_new),
    ),
    _mutant(
        "P1",
        "identity: no birth time is compared",
        _STORE,
        replaced(store_files, "_has_other_birth_time", lambda *_: False),
    ),
    _mutant(
        "P1",
        "identity: an equal stamp is a rename",
        _STORE,
        replaced(store_files, "_is_same_file", lambda *_: True),
    ),
    _mutant(
        "P1",
        "identity: timestamps are never racy",
        "tests/watch/test_writers.py",
        replaced(debounce, "racy_for", lambda *_: 0.0),
    ),
    _mutant(
        "P2",
        "identity: files that are open for writing are taken",
        "tests/watch/test_writers.py",
        replaced(inspection, "writer", lambda _: Writer.NONE),
        replaced(source, "writer", lambda _: Writer.NONE),
    ),
]
