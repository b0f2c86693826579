"""Reads each remote's token.

A token comes from the configuration, a token file, the environment or a systemd credential. Each remote gets its token
before the model validates the document, so that no other module needs to know the sources.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncd.config import paths, remote_values, values
from syncd.config.document import Document, KeyPath
from syncd.config.errors import Problem
from syncd.platform.private import others_can_read, owner_only_command

_SOURCES = ("token", "token_file", "token_env")
_MAX_TOKEN_BYTES = 64 * 1024


class Tokens:
    """The tokens of a document's remotes, with the problems and warnings about their sources."""

    def __init__(self, document: Document) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._document = document
        self._found = dict(self._tokens())

    def data(self) -> dict[str, Any]:
        """Return the document's data with each token in its remote's `token`."""
        data = dict(self._document.data)
        if self._found:
            remotes = data["remotes"]
            data["remotes"] = remotes | {name: remotes[name] | {"token": token} for name, token in self._found.items()}
        return data

    def _tokens(self) -> Iterator[tuple[str, str]]:
        for name, remote in mappings(self._document.data.get("remotes")):
            given = [key for key in _SOURCES if remote.get(key) is not None]
            path: KeyPath = ("remotes", name, *given[-1:])
            if len(given) > 1:
                message = f"give only one of {', '.join(_SOURCES)}, here are {' and '.join(given)}"
                self.problems.append(self._document.problem(path, message))
                continue
            try:
                token = self._token(name, remote, path)
                if token is not None:
                    remote_values.token(token)
                    yield name, token
            except ValueError as error:
                self.problems.append(self._document.problem(path, str(error)))

    def _token(self, name: str, remote: dict[str, Any], path: KeyPath) -> str | None:
        match path[-1]:
            case "token_file":
                base = self._document.path.absolute().parent
                return self._read(Path(paths.resolve(values.text(remote["token_file"]), base)), path)
            case "token_env":
                variable = values.text(remote["token_env"])
                if variable not in os.environ:
                    raise ValueError(f"the environment has no variable {variable} — set it, or use token_file")
                return os.environ[variable]
            case "token":
                return None
        folder = _credentials_directory() or self._system_credentials()
        credential = folder / f"{name}.token" if folder else None
        return self._read(credential, path) if credential and credential.is_file() else None

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

    def _read(self, file: Path, path: KeyPath) -> str:
        try:
            token = token_in(file)
            exposed = _credentials_directory() not in file.parents and others_can_read(file)
        except PermissionError:
            raise ValueError(f"{file}: permission denied — {self._access_advice(file)}") from None
        except OSError as error:
            raise ValueError(f"{file} cannot be read: {error.strerror} — check the path and its mode") from None
        if exposed:
            warning = f"others on this machine can read {file} — {owner_only_command(file)}"
            self.warnings.append(self._document.problem(path, warning))
        return token


def token_in(file: Path) -> str:
    """Return the token in a file, without the line end.

    Raise OSError, or ValueError if the file is too large or not UTF-8.
    """
    with file.open("rb") as stream:
        raw = stream.read(_MAX_TOKEN_BYTES + 1)
    if len(raw) > _MAX_TOKEN_BYTES:
        raise ValueError(f"{file} is too large for a token")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text") from None


def exposed_secrets(raw: Document) -> list[Problem]:
    """Return a warning for each secret in a configuration file that others can read.

    `raw` is the document before the expansion of variables.
    """
    try:
        if not others_can_read(raw.path):
            return []
    except OSError:
        return []
    return [
        raw.problem(
            ("remotes", name, key),
            f"others on this machine can read this file — {owner_only_command(raw.path)}, or move the secret out by "
            + ("token_file" if key == "token" else "${NAME}"),
        )
        for name, remote in mappings(raw.data.get("remotes"))
        for key in ("token", "encrypt_password", "proxy")
        if isinstance(text := remote.get(key), str) and "${" not in text and (key != "proxy" or "@" in text)
    ]


def mappings(section: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the named mappings in a section that is not validated yet."""
    if not isinstance(section, dict):
        return []
    return [(name, value) for name, value in section.items() if isinstance(value, dict)]


def _credentials_directory() -> Path | None:
    """Return the folder of the credentials that systemd passed to this service.

    Only the service can read the folder.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
