"""Reads each remote's token.

A token comes from the configuration, a token file, the environment or a systemd credential. Each remote gets its token
before the model validates the document, so that no other module needs to know the sources.
"""

import os
from collections.abc import Iterator
from typing import Any, TypeGuard

from syncd.config import remote_values, values
from syncd.config.document import Document, KeyPath
from syncd.config.errors import Problem
from syncd.config.secret_files import SecretFiles
from syncd.platform.private import others_can_read, owner_only_command

_SOURCES = ("token", "token_file", "token_env")


class Tokens:
    """The tokens of a document's remotes, with the problems of their sources.

    `files` reads the token files.
    """

    def __init__(self, document: Document, files: SecretFiles) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._files = files
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
                return self._files.read(self._files.resolve(values.text(remote["token_file"])), path)
            case "token_env":
                variable = values.text(remote["token_env"])
                if variable not in os.environ:
                    raise ValueError(f"the environment has no variable {variable} — set it, or use token_file")
                return os.environ[variable]
            case "token":
                return None
        credential = self._files.credential(f"{name}.token")
        return self._files.read(credential, path) if credential else None


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
            path,
            f"others on this machine can read this file — {owner_only_command(raw.path)}, or move the secret out by "
            + by,
        )
        for path, by in _plain_secrets(raw)
    ]


def _plain_secrets(raw: Document) -> Iterator[tuple[KeyPath, str]]:
    """Yield the key path of each secret in the file, and the way to move it out."""
    for name, remote in mappings(raw.data.get("remotes")):
        for key in ("token", "encrypt_password", "proxy"):
            text = remote.get(key)
            if _is_plain(text) and (key != "proxy" or "@" in text):
                yield ("remotes", name, key), "token_file" if key == "token" else "${NAME}"
    for _, notify in mappings({"notify": raw.data.get("notify")}):
        urls = notify.get("urls")
        if any(map(_is_plain, urls if isinstance(urls, list) else [urls])):
            yield ("notify", "urls"), "urls_file"
        for _, ping in mappings({"ping": notify.get("ping")}):
            if _is_plain(ping.get("url")):
                yield ("notify", "ping", "url"), "url_file"


def _is_plain(text: Any) -> TypeGuard[str]:
    return isinstance(text, str) and "${" not in text


def mappings(section: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the named mappings in a section that is not validated yet."""
    if not isinstance(section, dict):
        return []
    return [(name, value) for name, value in section.items() if isinstance(value, dict)]
