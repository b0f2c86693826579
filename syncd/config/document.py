"""Reads a YAML file into plain data and remembers the line of each value.

Every scalar except null stays the text in the file, and the model interprets the text. So a time of day never becomes a
number in base 60, a token of digits never becomes an integer, and `off` means the same with and without quotes.

The reader uses YAML events instead of composed nodes, because libyaml composes nodes by recursion in C: a file of a
million brackets would crash the process. Events also let the reader stop at a limit before it holds the whole file.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.events import AliasEvent, Event, MappingEndEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from syncd.config.errors import ConfigError, ForbiddenError, Problem

MAX_FILE_BYTES = 1024 * 1024
MAX_VALUES = 20_000
"""Limit for the values after aliases and merges are expanded, which can multiply a small file without end."""
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL_WORDS = {"", "~", "null", "Null", "NULL"}
_VARIABLE = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The data of a file as mappings, lists, texts and None, with the line of each key path."""

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Build a problem with the value at `path`.

        The line is that of the value, or of the section that lacks it.
        """
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.lines), ())
        return Problem(file=str(self.path), line=self.lines.get(known), key=_dotted(path), message=message)

    def expanded(self) -> tuple["Document", list[Problem]]:
        """Return the document with `${NAME}` replaced in every value, and the problems."""
        problems: list[Problem] = []

        def walk(value: Any, path: KeyPath) -> Any:
            if isinstance(value, dict):
                return {key: walk(below, (*path, key)) for key, below in value.items()}
            if isinstance(value, list):
                return [walk(below, (*path, index)) for index, below in enumerate(value)]
            try:
                return value if value is None else expand(value)
            except ValueError as error:
                problems.append(self.problem(path, str(error)))
                return value

        return Document(path=self.path, data=walk(self.data, ()), lines=self.lines), problems


def expand(text: str) -> str:
    """Replace each `${NAME}` by the environment variable NAME, and `$${` by `${`.

    Raise ValueError if a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        if match["name"] is None:
            raise ValueError("${ must be followed by a variable's name and } — write $${ for the text ${")
        if match["name"] not in os.environ:
            raise ValueError(
                f"the environment has no variable {match['name']} — set it, or write $${{ for the text ${{"
            )
        return os.environ[match["name"]]

    return _VARIABLE.sub(value, text)


def read(path: Path) -> Document:
    """Read a configuration file.

    Raise ConfigError if it is not a YAML mapping in UTF-8 within the limits.
    """
    text = _text(path)
    try:
        return _Reader(path, yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        reason = _without_quotes(error.problem or "cannot be read")
    except yaml.YAMLError as error:
        line, column = None, None
        reason = _without_quotes(str(getattr(error, "reason", "cannot be read")))
    raise ConfigError(
        Problem(
            file=str(path),
            line=line,
            column=column,
            message=f"not valid YAML: {reason} — check the indentation, quote texts with special characters",
        )
    )


def _without_quotes(reason: str) -> str:
    """Remove the parser's quotes from the file, except single characters.

    A longer quote may contain a token.
    """
    return re.sub(r"('[^']'|\"[^\"]\")|'[^']+'|\"[^\"]+\"", lambda quote: quote[1] or "…", reason)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) <= MAX_FILE_BYTES:
            return raw.decode("utf-8")
        reason = f"is larger than {MAX_FILE_BYTES} bytes — this is not a configuration file"
    except FileNotFoundError:
        reason = "there is no such file — write one with syncd init"
    except (IsADirectoryError, PermissionError):  # Windows raises PermissionError for a folder
        if not os.path.isdir(path):
            raise ForbiddenError(path) from None
        reason = "is a folder — name the file in it"
    except UnicodeDecodeError:
        reason = "is not in UTF-8 — save it in that encoding"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error} — check the path"
    raise ConfigError(Problem(file=str(path), message=reason))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Node:
    """A value with its line in the file: the line of its key, if it has a key."""

    line: int
    content: "str | list[_Node] | dict[str, _Node] | None"


class _Reader:
    """Turns a stream of YAML events into a Document and enforces the limits."""

    def __init__(self, path: Path, events: Iterator[Event]) -> None:
        self._path = path
        self._events = events
        self._anchors: dict[str, _Node] = {}
        self._values = 0
        self._lines: dict[KeyPath, int] = {}

    def document(self) -> Document:
        next(self._events)  # StreamStartEvent
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            self._fail(1, "is empty — start with syncd init")
        root = self._node(next(self._events), depth=0)
        next(self._events)  # DocumentEndEvent
        following = next(self._events)
        if isinstance(following, yaml.DocumentStartEvent):
            self._fail(_line(following), "a second document begins here — keep only one")
        if root.content is None:
            self._fail(root.line, "is empty — start with syncd init")
        if not isinstance(root.content, dict):
            self._fail(root.line, "must contain keys and values, each as `key: value`")
        return Document(path=self._path, data=self._plain(root, ()), lines=self._lines)

    def _node(self, event: Event, depth: int) -> _Node:
        line = _line(event)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                self._fail(line, "a value that begins with * refers to a missing anchor — quote the value")
            return self._anchors[event.anchor]
        self._count(line, 1)
        if depth > MAX_DEPTH:
            self._fail(line, "is nested too deeply")
        if getattr(event, "tag", None) not in (None, "!"):
            self._fail(line, "a value that begins with ! is a YAML tag, which is not supported — quote the value")
        content: str | list[_Node] | dict[str, _Node] | None
        if isinstance(event, ScalarEvent):
            content = None if event.implicit[0] and event.value in _NULL_WORDS else event.value
        elif isinstance(event, SequenceStartEvent):
            content = [self._node(item, depth + 1) for item in self._until(SequenceEndEvent)]
        else:
            content = self._mapping(depth + 1)
        node = _Node(line=line, content=content)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _mapping(self, depth: int) -> dict[str, _Node]:
        own: dict[str, _Node] = {}
        merged: dict[str, _Node] = {}
        for event in self._until(MappingEndEvent):
            line = _line(event)
            if not isinstance(event, ScalarEvent):
                self._fail(line, "a key must be a single word")
            value = self._node(next(self._events), depth)
            if event.value == "<<" and event.implicit[0]:
                merged |= self._merge(value, line)
                continue
            if event.value in own:
                self._fail(line, f"the key {event.value} is here twice, first in line {own[event.value].line}")
            own[event.value] = _Node(line=line, content=value.content)
        return merged | own

    def _merge(self, value: _Node, line: int) -> dict[str, _Node]:
        """Join the mappings after `<<`; the values of an earlier mapping win."""
        merged: dict[str, _Node] = {}
        for source in reversed(value.content if isinstance(value.content, list) else [value]):
            if not isinstance(source.content, dict):
                self._fail(line, "<< takes a mapping or a list of mappings")
            self._count(line, len(source.content))
            merged |= source.content
        return merged

    def _plain(self, node: _Node, path: KeyPath) -> Any:
        self._count(node.line, 1)
        if path:
            self._lines[path] = node.line
        if isinstance(node.content, dict):
            return {key: self._plain(value, (*path, key)) for key, value in node.content.items()}
        if isinstance(node.content, list):
            return [self._plain(value, (*path, index)) for index, value in enumerate(node.content)]
        return node.content

    def _until(self, end: type[Event]) -> Iterator[Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _count(self, line: int, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._fail(line, f"there are more than {MAX_VALUES} values, aliases counted in full")

    def _fail(self, line: int, message: str) -> NoReturn:
        raise ConfigError(Problem(file=str(self._path), line=line, message=message))


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _dotted(path: KeyPath) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
