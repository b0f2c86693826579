"""Loads a configuration file and reports all of its problems at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from syncd.config.checks import across_remotes, across_sections
from syncd.config.discovery import find
from syncd.config.document import Document, KeyPath, read
from syncd.config.errors import ConfigError, Problem
from syncd.config.model import Config
from syncd.config.notify_files import NotifyFiles
from syncd.config.secret_files import SecretFiles
from syncd.config.tokens import Tokens, exposed_secrets
from syncd.config.values import is_loopback

__all__ = ["ConfigError", "Loaded", "Problem", "find", "load"]

_MODEL_STEPS = {"image", "multipart", "spans", "[key]"}
"""Steps in pydantic's locations that have no counterpart in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A valid configuration, with warnings for its user."""

    config: Config
    path: Path
    warnings: tuple[str, ...]


def load(path: Path) -> Loaded:
    """Read and check a configuration file. Raise ConfigError with every problem in it."""
    raw = read(path)
    document, problems = raw.expanded()
    files = SecretFiles(document)
    tokens, notify_files = Tokens(document, files), NotifyFiles(document, files)
    problems += [*tokens.problems, *notify_files.problems]
    config, invalid = _validated(document, notify_files.added_to(tokens.data()))
    problems += [*invalid, *across_sections(document)]
    if config is not None:
        problems += across_remotes(document, config)
    if config is None or problems:
        raise ConfigError(*_first_of_each_key(problems))
    warnings = [*exposed_secrets(raw), *files.warnings, *_plain_tokens(document, config)]
    return Loaded(config=config, path=path, warnings=tuple(map(str, warnings)))


def _validated(document: Document, data: Mapping[str, Any]) -> tuple[Config | None, list[Problem]]:
    try:
        return Config.model_validate(data, context={"base": document.path.absolute().parent, "file": document.path}), []
    except ValidationError as error:
        return None, [
            document.problem(_key_path(document, details["loc"]), details["msg"])
            for details in error.errors(include_input=False)
        ]


def _key_path(document: Document, location: KeyPath) -> KeyPath:
    """Return the key path in the file for a location in the model."""
    path: KeyPath = ()
    value: Any = document.data
    for step in location:
        known = (*path, step) in document.lines
        if not known and (step in _MODEL_STEPS or not isinstance(value, Mapping)):
            continue
        path = (*path, step)
        value = _below(value, step) if known else {}
    return path


def _below(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None


def _first_of_each_key(problems: Iterable[Problem]) -> list[Problem]:
    """Keep only the first problem of each key, as later ones repeat it; sort them by line."""
    first: dict[tuple[int | None, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.line, problem.key), problem)
    return sorted(first.values(), key=lambda problem: problem.line or 0)


def _plain_tokens(document: Document, config: Config) -> Iterator[Problem]:
    """Warn about tokens that go over the network unencrypted."""
    for name, remote in config.remotes.items():
        if remote.token and remote.url.startswith("http://") and not _is_local(urlsplit(remote.url).hostname):
            message = "the token goes over the network unencrypted — use https if the server has it"
            yield document.problem(("remotes", name, "url"), message)


def _is_local(host: str | None) -> bool:
    return host == "localhost" or is_loopback(host or "")
