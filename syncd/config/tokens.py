"""Where a remote's token comes from: the file itself, a file of its own, the environment, or systemd.

Each remote gets its token here, before the model sees it, so that no other room has to know of the sources.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncd.config import paths, values
from syncd.config.document import Document, KeyPath
from syncd.config.errors import Problem
from syncd.config.readers import keeping, others_can_read

_SOURCES = ("token", "token_file", "token_env")
_MAX_BYTES = 64 * 1024


class Tokens:
    """The tokens of a document's remotes, and what was noticed while finding them."""

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
                    values.token(token)
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
        folder = _credentials() or self._beside()
        credential = folder / f"{name}.token" if folder else None
        return self._read(credential, path) if credential and credential.is_file() else None

    def _beside(self) -> Path | None:
        """Return the folder of a configuration of the system, where its credentials are from: root may look there."""
        path = self._document.path
        return path.absolute().parent if paths.is_system(path) else None

    def _who_may(self, file: Path) -> str:
        if file.parent == self._beside():
            return "ask with sudo: systemd hands it to the service"
        return "its owner should be who runs the daemon"

    def _read(self, file: Path, path: KeyPath) -> str:
        try:
            token = token_in(file)
            exposed = _credentials() not in file.parents and others_can_read(file)
        except PermissionError:
            raise ValueError(f"{file} may not be read by you — {self._who_may(file)}") from None
        except OSError as error:
            raise ValueError(f"{file} can't be read: {error.strerror} — check the path and its mode") from None
        if exposed:
            warning = f"others on this machine can read {file} — {keeping(file)}"
            self.warnings.append(self._document.problem(path, warning))
        return token


def token_in(file: Path) -> str:
    """Return the token that a file holds, without the line's end; OSError, or ValueError if it can hold none."""
    with file.open("rb") as stream:
        raw = stream.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"{file} is too large for a token")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a text in UTF-8") from None


def exposed_secrets(raw: Document) -> list[Problem]:
    """Warn of each secret that stands in a configuration file which others can read. `raw` is not expanded yet."""
    try:
        if not others_can_read(raw.path):
            return []
    except OSError:
        return []
    return [
        raw.problem(
            ("remotes", name, key),
            f"others on this machine can read this file — {keeping(raw.path)}, or move the secret out by "
            + ("token_file" if key == "token" else "${NAME}"),
        )
        for name, remote in mappings(raw.data.get("remotes"))
        for key in ("token", "encrypt_password", "proxy")
        if isinstance(text := remote.get(key), str) and "${" not in text and (key != "proxy" or "@" in text)
    ]


def mappings(section: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the named mappings in a section that was not validated yet."""
    if not isinstance(section, dict):
        return []
    return [(name, value) for name, value in section.items() if isinstance(value, dict)]


def _credentials() -> Path | None:
    """Folder of the credentials that systemd handed to this service; it keeps others out itself."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
