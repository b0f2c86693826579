"""Reads files that contain secrets: tokens and notification URLs.

:mod:`syncd.config.tokens` and :mod:`syncd.config.notify_files` decide which files; this module reports who can read
them.
"""

import os
from pathlib import Path

from syncd.config import paths
from syncd.config.document import Document, KeyPath
from syncd.config.errors import Problem
from syncd.platform.private import others_can_read, owner_only_command

_MAX_SECRET_BYTES = 64 * 1024


class SecretFiles:
    """Reads the secret files of a document.

    It collects warnings about the files that other users can read.
    """

    def __init__(self, document: Document) -> None:
        self.warnings: list[Problem] = []
        self._document = document

    def resolve(self, path: str) -> Path:
        """Return the path of a file that the document names.

        Raises ValueError if it is not a valid path.
        """
        return Path(paths.resolve(path, self._document.path.absolute().parent))

    def credential(self, name: str) -> Path | None:
        """Return the file of a systemd credential; None if it does not exist."""
        folder = _credentials_directory() or self._system_credentials()
        file = folder / name if folder else None
        return file if file and file.is_file() else None

    def read(self, file: Path, path: KeyPath) -> str:
        """Return the text in a file that belongs to the value at `path`.

        Raise ValueError, with the fix, if it cannot be read.
        """
        try:
            text = read_secret(file)
            exposed = _credentials_directory() not in file.parents and others_can_read(file)
        except PermissionError:
            raise ValueError(f"{file}: permission denied — {self._access_advice(file)}") from None
        except OSError as error:
            raise ValueError(f"{file} cannot be read: {error.strerror} — check the path and its mode") from None
        if exposed:
            warning = f"others on this machine can read {file} — {owner_only_command(file)}"
            self.warnings.append(self._document.problem(path, warning))
        return text

    def _system_credentials(self) -> Path | None:
        """Return the folder of a system configuration; None for a user's configuration.

        systemd loads credentials from there that only root can read.
        """
        path = self._document.path
        return path.absolute().parent if paths.is_system(path) else None

    def _access_advice(self, file: Path) -> str:
        if file.parent == self._system_credentials():
            return "run with sudo: systemd passes the file to the service"
        return "make the user that runs the daemon its owner"


def read_secret(file: Path) -> str:
    """Return the text in a file, without the last line end.

    Raise OSError, or ValueError if the file is too large or not UTF-8.
    """
    with file.open("rb") as stream:
        raw = stream.read(_MAX_SECRET_BYTES + 1)
    if len(raw) > _MAX_SECRET_BYTES:
        raise ValueError(f"{file} is too large for a token or an address")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text") from None


def _credentials_directory() -> Path | None:
    """Return the folder of the credentials that systemd passed to this service.

    Only the service can read the folder.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
