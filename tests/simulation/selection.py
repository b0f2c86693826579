"""Which files a configuration selects: repeated without the product's code, for the few patterns of the simulation."""

import os
from fnmatch import fnmatchcase
from typing import Any

Folder = dict[str, Any]
"""A folder of the configuration, as the file has it."""


def folder_of(settings: dict[str, Any], place: str) -> Folder | None:
    """Return the folder of a configuration that a path lies in."""
    return next((folder for folder in settings["folders"] if place.startswith(f"{folder['path']}/")), None)


def selects(folder: Folder, place: str) -> bool:
    """Say whether a file at ``place``, in the folder, is to be uploaded, by its name."""
    *above, name = place.removeprefix(f"{folder['path']}/").casefold().split("/")
    if (above and not folder["recursive"]) or any(part.startswith(".") for part in (*above, name)):
        return False
    if not any(fnmatchcase(name, pattern) for pattern in folder["include"]) or name.endswith(".part"):
        return False
    return not any(_excludes(pattern, above, name) for pattern in folder["exclude"])


def problem_of_selection(folder: Folder, place: str, size: int) -> str | None:
    """Return why a file is not to be uploaded, by its name or its size, if it is not."""
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
