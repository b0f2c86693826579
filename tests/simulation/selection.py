"""Selects the files to upload by the simulation's patterns, without the product's code."""

import os
from fnmatch import fnmatchcase
from typing import Any

Folder = dict[str, Any]
"""A folder in the configuration file."""


def folder_of(settings: dict[str, Any], place: str) -> Folder | None:
    """Return the configured folder that contains a path."""
    return next((folder for folder in settings["folders"] if place.startswith(f"{folder['path']}/")), None)


def selects(folder: Folder, place: str) -> bool:
    """Return whether the folder's patterns select ``place``, a path within the folder."""
    *above, name = place.removeprefix(f"{folder['path']}/").casefold().split("/")
    if (above and not folder["recursive"]) or any(part.startswith(".") for part in (*above, name)):
        return False
    if not any(fnmatchcase(name, pattern) for pattern in folder["include"]) or name.endswith(".part"):
        return False
    return not any(_excludes(pattern, above, name) for pattern in folder["exclude"])


def problem_of_selection(folder: Folder, place: str, size: int) -> str | None:
    """Return the reason not to upload a file, by its name and size, or None."""
    if not selects(folder, place):
        return "the configuration leaves it out"
    if size > folder["max_size"]:
        return "it is larger than max_size"
    return None


def _excludes(pattern: str, above: list[str], name: str) -> bool:
    if pattern.endswith("/"):
        return pattern[:-1] in above
    if pattern.startswith("/"):
        return os.path.join("", *above, name) == pattern[1:]
    return any(fnmatchcase(part, pattern) for part in (*above, name))
