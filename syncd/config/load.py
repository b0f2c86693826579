"""The door to the configuration: find the file, read it, tell all that is wrong with it at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from syncd.config.checks import across_remotes, across_sections
from syncd.config.document import Document, KeyPath, read
from syncd.config.errors import ConfigError, Problem
from syncd.config.light import find
from syncd.config.model import Config
from syncd.config.tokens import Tokens, exposed_secrets
from syncd.config.values import is_loopback

__all__ = ["ConfigError", "Loaded", "Problem", "find", "load"]

_ADDED_STEPS = {"image", "multipart", "spans", "[key]"}
"""Steps of pydantic's locations that do not stand in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A configuration that can be used, and what its user should still know."""

    config: Config
    path: Path
    warnings: tuple[str, ...]


def load(path: Path) -> Loaded:
    """Read and check a configuration file. ConfigError with every problem found in it."""
    raw = read(path)
    document, problems = raw.expanded()
    tokens = Tokens(document)
    problems += tokens.problems
    config, invalid = _validated(document, tokens.data())
    problems += [*invalid, *across_sections(document)]
    if config is not None:
        problems += across_remotes(document, config)
    if config is None or problems:
        raise ConfigError(*_first_of_each_place(problems))
    warnings = [*exposed_secrets(raw), *tokens.warnings, *_plain_tokens(document, config)]
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
    """Find the place in the file that a location in the model stands for."""
    path: KeyPath = ()
    value: Any = document.data
    for step in location:
        known = (*path, step) in document.lines
        if not known and (step in _ADDED_STEPS or not isinstance(value, Mapping)):
            continue
        path = (*path, step)
        value = _below(value, step) if known else {}
    return path


def _below(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None


def _first_of_each_place(problems: Iterable[Problem]) -> list[Problem]:
    """Keep what was found first at each place, as what follows is noise; in the order of the file."""
    first: dict[tuple[int | None, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.line, problem.key), problem)
    return sorted(first.values(), key=lambda problem: problem.line or 0)


def _plain_tokens(document: Document, config: Config) -> Iterator[Problem]:
    """Warn of tokens that everybody on the way could read."""
    for name, remote in config.remotes.items():
        if remote.token and remote.url.startswith("http://") and not _is_local(urlsplit(remote.url).hostname):
            message = "the token goes over the network unencrypted — use https if the server has it"
            yield document.problem(("remotes", name, "url"), message)


def _is_local(host: str | None) -> bool:
    return host == "localhost" or is_loopback(host or "")
