"""The mutants without one condition of a deletion, or of a file's identity."""

import os
from typing import Any

from sqlalchemy import select

from syncd.config.model import Folder
from syncd.core.model import Proof
from syncd.daemon import deletion_check
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.deletion_check import DeletionCheck
from syncd.platform import archive_directory, openat, removal
from syncd.platform.read_lease import Writer
from syncd.platform.removable_file import RemovableFile
from syncd.remotes.image.client import ImageRemote
from syncd.remotes.multipart.client import MultipartRemote
from syncd.store import files as store_files
from syncd.store.job_rows import fingerprint_of, listed
from syncd.store.schema import files
from syncd.upload import source
from syncd.watch import debounce, inspection
from syncd.watch.folder import FolderWatch
from tests.simulation.mutant import mutant, replaced, returning, returning_async, without_effect

_REMOVAL, _DAEMON, _STORE = (
    "tests/platform/test_removal.py",
    "tests/daemon/test_after_upload.py",
    "tests/store/test_files.py",
)
_WRITERS = "tests/watch/test_writers.py"

_sweep_folder = AfterUploadTask._sweep_folder
_confirm = DeletionCheck._confirm
_enter = openat.enter


class _GrantedLease:
    """A lease that every file seems to have."""

    granted = Writer.NONE

    def __init__(self, descriptor: int) -> None: ...

    def __enter__(self) -> "_GrantedLease":
        return self

    def __exit__(self, *about: object) -> None: ...

    def broken(self) -> bool:
        return False


async def _sweep_for_first_remote(self: AfterUploadTask, folder: Folder, *about: Any) -> Any:
    return await _sweep_folder(self, folder.model_copy(update={"remotes": folder.remotes[:1]}), *about)


async def _confirm_if_unproven(self: DeletionCheck, worker: Any, content: Any) -> None:
    """Ask the server only if no earlier confirmation was sufficient."""
    if content.proof < worker.endpoint.remote.required_proof:
        await _confirm(self, worker, content)


def _enter_links(directory: int, name: str, *, make: bool = False) -> int:
    if make:
        return _enter(directory, name, make=True)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)


_ANY_WITH_INODE = select(files).where(files.c.inode.in_(listed("inodes")))


def _is_new_version(row: Any, file: Any) -> bool:
    """Return whether a file is new, but ignore that it was gone."""
    return bool(fingerprint_of(row) != store_files._fingerprint(file) or store_files._has_other_birth_time(row, file))


_NO_PROOF = property(lambda _: Proof.NONE)

DELETION_MUTANTS = [
    mutant(
        "P8",
        "deletion: files that the folder no longer selects go too",
        replaced(FolderWatch, "matches", returning(True)),
        replaced(deletion_check, "unfit", returning(None)),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: the first remote is enough",
        replaced(AfterUploadTask, "_sweep_folder", _sweep_for_first_remote),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: an old confirmation counts, and one that expires",
        replaced(DeletionCheck, "_confirm", _confirm_if_unproven),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: a done job needs no confirmation",
        replaced(DeletionCheck, "_confirm", returning_async(None)),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: no proof is needed",
        replaced(ImageRemote, "required_proof", _NO_PROOF),
        replaced(MultipartRemote, "required_proof", _NO_PROOF),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8", "deletion: no lease is asked for", replaced(removal, "ReadLease", _GrantedLease), other_tests=_REMOVAL
    ),
    mutant(
        "P8",
        "deletion: the file is not read again",
        replaced(RemovableFile, "read", returning("")),
        other_tests=_REMOVAL,
    ),
    mutant(
        "P8",
        "deletion: no fingerprint is compared",
        replaced(RemovableFile, "check_unchanged", returning(None)),
        other_tests=_REMOVAL,
    ),
    mutant(
        "P8",
        "deletion: the hidden file is not compared with the open one",
        replaced(RemovableFile, "_is_open", returning(True)),
        other_tests=_REMOVAL,
    ),
    mutant(
        "P8", "deletion: links are followed on the way", replaced(openat, "enter", _enter_links), other_tests=_REMOVAL
    ),
    mutant(
        "P8",
        "deletion: a reload waits for no removal",
        replaced(AfterUploadTask, "suspended", without_effect),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: an interrupted removal is not undone",
        replaced(AfterUploadTask, "recover", returning_async(None)),
        other_tests=_DAEMON,
    ),
    mutant(
        "P8",
        "deletion: the target's file system is not checked",
        replaced(archive_directory, "file_system_id", returning(1)),
        other_tests=_REMOVAL,
    ),
    mutant(
        "P8",
        "deletion: a quiet file needs no minute of rest",
        replaced(deletion_check, "QUIET_SECONDS", 0.0),
        replaced(deletion_check, "QUIET_CLOSED_SECONDS", 0.0),
        other_tests=_DAEMON,
    ),
    mutant(
        "P1",
        "identity: a file that the daemon removed may have been renamed",
        replaced(store_files, "_WITH_INODE", _ANY_WITH_INODE),
        other_tests=_STORE,
    ),
    mutant(
        "P1",
        "identity: a file that was gone keeps its version",
        replaced(store_files, "_is_new_version", _is_new_version),
        other_tests=_STORE,
    ),
    mutant(
        "P1",
        "identity: no birth time is compared",
        replaced(store_files, "_has_other_birth_time", returning(False)),
        other_tests=_STORE,
    ),
    mutant(
        "P1",
        "identity: an equal fingerprint is a rename",
        replaced(store_files, "_is_same_file", returning(True)),
        other_tests=_STORE,
    ),
    mutant(
        "P1",
        "identity: timestamps are never racy",
        replaced(debounce, "racy_for", returning(0.0)),
        other_tests=_WRITERS,
    ),
    mutant(
        "P2",
        "identity: files that are open for writing are uploaded",
        replaced(inspection, "writer", returning(Writer.NONE)),
        replaced(source, "writer", returning(Writer.NONE)),
        other_tests=_WRITERS,
    ),
]
