"""Keeps a hard link with a readable name for each stored file.

A person can browse what has arrived. The links are in one folder, ``names``. The name of a link depends only on the
name that the client gave and on the digest, so no record of the links is needed: after a power cut, the same name is
linked again. A link is removed with its content. It is removed only if it still is the same file, so a file that a
person put there stays.

The content counts more than its name: if a link cannot be created, the upload succeeds and the log has a warning.
"""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import structlog

from syncd.platform.files import sync_path

log = structlog.get_logger()

_MAX_NAME_BYTES = 180
"""File systems allow 255 bytes; the digest in a suffix takes up to 67."""
_UNSAFE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""The Unicode categories of control and direction characters, lone surrogates, line and paragraph separators."""
_UNSAFE = frozenset('\\:*?"<>|')
"""Characters that are special on some systems that may share the folder."""
_DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))))
"""Names of devices on Windows."""
_SUFFIX_DIGITS = 8


class NamedLinks:
    """The links in `folder`. All methods block."""

    def __init__(self, folder: str, *, fsync: bool) -> None:
        self._folder = folder
        self._fsync = fsync

    def prepare(self) -> None:
        """Create the folder if it is missing."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)

    def add(self, path: str, *, name: str, digest: str) -> None:
        """Link the file `path`, with the content `digest`, under a safe form of `name`.

        Does nothing if it has that name. Another file with the name stays; the new link gets a suffix.
        """
        try:
            for candidate in _candidates(name, digest):
                link = os.path.join(self._folder, candidate)
                try:
                    os.link(path, link)
                except FileExistsError:
                    if not _is_same(link, path):
                        continue
                break
        except OSError as error:
            log.warning("receiver.not_named", digest=digest, error=str(error))

    def flush(self) -> None:
        """Flush the links to the disk, with `fsync`."""
        if self._fsync:
            sync_path(self._folder)

    def remove(self, path: str, *, name: str | None, digest: str) -> None:
        """Remove all links to the file `path`.

        `name` is the name in its plan, if the plan can be read.
        """
        try:
            for candidate in _candidates(name, digest) if name else ():
                self._unlink(candidate, path)
            if has_link(path):  # the content was uploaded under several names
                for other in self._links_to(path):
                    self._unlink(other, path)
        except OSError as error:
            log.warning("receiver.not_named", digest=digest, error=str(error))

    def _links_to(self, path: str) -> list[str]:
        inode = os.stat(path).st_ino
        with os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.inode() == inode]

    def _unlink(self, name: str, path: str) -> None:
        link = os.path.join(self._folder, name)
        with suppress(FileNotFoundError):
            if _is_same(link, path):
                os.unlink(link)


def has_link(path: str) -> bool:
    """Return whether a stored file has a link besides its own name."""
    try:
        return os.stat(path).st_nlink > 1
    except FileNotFoundError:
        return False


def safe_name(name: str) -> str:
    """Return a file name for `name` that is safe on every system.

    It has no folders and no control characters.
    """
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rstrip("/").rpartition("/")[2])
    name = "".join("_" if _is_unsafe(character) else character for character in name).rstrip(". ")
    if not name or name.startswith(".") or name.partition(".")[0].rstrip().lower() in _DEVICES:
        name = f"_{name}"
    return _shorten(name)


def _is_unsafe(character: str) -> bool:
    return character in _UNSAFE or unicodedata.category(character) in _UNSAFE_CATEGORIES


def _shorten(name: str) -> str:
    stem, extension = os.path.splitext(name)
    extension = extension if len(extension.encode()) <= _SUFFIX_DIGITS else ""
    stem = name.removesuffix(extension)
    return stem.encode()[: _MAX_NAME_BYTES - len(extension.encode())].decode(errors="ignore") + extension


def _candidates(name: str, digest: str) -> Iterator[str]:
    """Return the names for a link, best first.

    They are the name without a suffix, with a part of the digest, and with the digest.
    """
    name = safe_name(name)
    stem, extension = os.path.splitext(name)
    yield name
    for digits in (_SUFFIX_DIGITS, len(digest)):
        yield f"{stem} ({digest[:digits]}){extension}"


def _is_same(link: str, path: str) -> bool:
    return os.path.samestat(os.lstat(link), os.stat(path))
