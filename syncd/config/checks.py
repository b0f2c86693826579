"""Checks sections against each other.

Remotes must exist, and folders and destinations must not overlap.
:func:`across_sections` works on data before validation, so that its problems are reported together with invalid values.
:func:`across_remotes` compares destinations including their tokens, and needs a valid configuration.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from syncd.config import destinations, paths
from syncd.config.document import Document
from syncd.config.errors import Problem
from syncd.config.model import Config
from syncd.config.remotes import AnyRemote
from syncd.config.section import nearest
from syncd.config.values import is_off


@dataclass(frozen=True, kw_only=True, slots=True)
class _Root:
    """A watched folder with resolved links."""

    index: int
    name: str
    path: str
    recursive: bool

    def contains(self, path: str) -> bool:
        """Return whether this folder's watch also covers files in the folder `path`."""
        return path == self.path or (self.recursive and path.startswith(os.path.join(self.path, "")))


def across_sections(document: Document) -> Iterator[Problem]:
    """Yield the problems between folders, and between folders and remotes."""
    folders = document.data.get("folders")
    entries = [
        (index, folder)
        for index, folder in enumerate(folders if isinstance(folders, list) else [])
        if isinstance(folder, dict)
    ]
    yield from _unknown_remotes(document, entries)
    roots = [root for index, folder in entries if (root := _root(document, index, folder))]
    yield from _overlapping_folders(document, roots)
    yield from _moves_into_roots(document, entries, roots)


def _unknown_remotes(document: Document, entries: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    remotes = document.data.get("remotes")
    if not isinstance(remotes, dict):
        return
    for index, folder in entries:
        names = folder.get("remote")
        for name in names if isinstance(names, list) else [names]:
            if isinstance(name, str) and name not in remotes:
                message = f"there is no remote {name} — {nearest(name, remotes)}"
                yield document.problem(("folders", index, "remote"), message)


def _overlapping_folders(document: Document, roots: list[_Root]) -> Iterator[Problem]:
    for later, root in enumerate(roots):
        for other in roots[:later]:
            if root.path == other.path:
                message = f"{root.name} is already watched by folders[{other.index}] — name all remotes there"
            elif other.contains(root.path):
                message = f"{root.name} is in {other.name}, which is watched with all its subfolders"
            elif root.contains(other.path):
                message = f"{root.name} contains {other.name}, which is watched by folders[{other.index}]"
            else:
                continue
            if root.path != other.path:
                message += " — remove one of them, or set recursive: false for the outer one"
            yield document.problem(("folders", root.index, "path"), message)


def _moves_into_roots(
    document: Document, entries: list[tuple[int, dict[str, Any]]], roots: list[_Root]
) -> Iterator[Problem]:
    for index, folder in entries:
        after_upload = folder.get("after_upload")
        target = _real_path(document, after_upload.get("move")) if isinstance(after_upload, dict) else None
        holder = next((root for root in roots if target and root.contains(target)), None)
        if holder:
            message = f"is in {holder.name}, which is watched: files would be uploaded again — choose a folder outside"
            yield document.problem(("folders", index, "after_upload", "move"), message)


def _root(document: Document, index: int, folder: dict[str, Any]) -> _Root | None:
    path = _real_path(document, folder.get("path"))
    if path is None:
        return None
    recursive = not is_off(folder.get("recursive", True))
    return _Root(index=index, name=folder["path"], path=path, recursive=recursive)


def _real_path(document: Document, text: Any) -> str | None:
    try:
        base = document.path.absolute().parent
        return os.path.normcase(os.path.realpath(paths.resolve(text, base))) if isinstance(text, str) else None
    except (OSError, ValueError):
        return None


def across_remotes(document: Document, config: Config) -> Iterator[Problem]:
    """Yield remotes with the same destination, and former addresses of other remotes."""
    first: dict[object, str] = {}
    for name, settings in config.remotes.items():
        other = first.setdefault(_destination(settings), name)
        if other != name:
            message = (
                f"{name} is the same destination as {other}: server and account are the same — "
                "use one name for both, or set account for each if they are two accounts"
            )
            yield document.problem(("remotes", name), message)
    yield from _former_in_use(document, config)


def _destination(settings: AnyRemote) -> object:
    """Return a value that is equal for two remotes with the same destination.

    The value contains secrets: do not show it. For a remote without an account, the credentials identify the account:
    token, headers and certificate.
    """
    headers = {name.lower(): value.get_secret_value() for name, value in settings.headers.items()}
    token = settings.token.get_secret_value() if settings.token else None
    credentials = (token, frozenset(headers.items()), settings.client_cert)
    return json.dumps(destinations.place(settings)), settings.account or credentials


def _former_in_use(document: Document, config: Config) -> Iterator[Problem]:
    """Yield former addresses that another remote uses now, or that two remotes claim."""
    claimed = {destinations.identity(name, settings): name for name, settings in config.remotes.items()}
    for name, settings in config.remotes.items():
        for former in destinations.former(name, settings):
            if former.name is not None:  # such a record belongs to the remote of that name
                continue
            other = claimed.setdefault(former.identity, name)
            if other != name:
                message = f"{former.url} is where {other} has its records — remove it here, or remove {other}"
                yield document.problem(("remotes", name, "former_url"), message)
