"""What stands in a request, taken apart: every mistake is an :class:`InvalidRequestError` of one line."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from syncd.control import targets
from syncd.control.service import InvalidRequestError, Limits
from syncd.control.targets import Target

Word = TypeVar("Word", bound=StrEnum)


def only(given: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a field that is not known."""
    for name in given:
        if name not in known:
            raise InvalidRequestError(
                f"unknown field {name!a}" + (f": known are {', '.join(sorted(known))}" if known else "")
            )


def word(name: str, text: str | None, words: type[Word]) -> Word | None:
    """Return the member that ``text`` names; None for nothing."""
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        raise InvalidRequestError(f"{name} must be one of {', '.join(words)}") from None


def among(name: str, text: str, words: Iterable[str]) -> str:
    """Return ``text`` if it is one of ``words``."""
    if text not in words:
        raise InvalidRequestError(f"{name} must be one of {', '.join(words)}")
    return text


def number(name: str, text: str | None, *, default: int, most: int) -> int:
    """Return the number that ``text`` says, from 1 to ``most``."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidRequestError(f"{name} must be a number from 1 to {most}")
    return int(text)


def limits(given: Mapping[str, Any]) -> Limits:
    """Return the limits in a body: at least one."""
    bandwidth, concurrency = given.get("bandwidth"), given.get("concurrency")
    if bandwidth is None and concurrency is None:
        raise InvalidRequestError("give bandwidth or concurrency, or both")
    if not isinstance(bandwidth, str | None):
        raise InvalidRequestError("bandwidth must be a text, as 2MiB/s or unlimited")
    if not isinstance(concurrency, str | int | None) or isinstance(concurrency, bool):
        raise InvalidRequestError("concurrency must be a number, or auto")
    return Limits(bandwidth=bandwidth, concurrency=concurrency)


def flag(name: str, given: object) -> bool:
    """Return what is true or false."""
    if not isinstance(given, bool):
        raise InvalidRequestError(f"{name} must be true or false")
    return given


def some_targets(named: object, *, most: int | None = None) -> list[Target]:
    """Return the targets in a list, ``most`` at most."""
    if not isinstance(named, list) or not named:
        raise InvalidRequestError("targets must be a list with at least one target")
    if most is not None and len(named) > most:
        raise InvalidRequestError(f"targets must be {most} at most")
    return [target(one) for one in named]


def target(named: object) -> Target:
    """Return what a text names: a job or a file."""
    if not isinstance(named, str):
        raise InvalidRequestError("a target is a job's id or a file:// URI, as a text")
    try:
        return targets.decode(named)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None


def path(name: str, named: object) -> str:
    """Return the path in a ``file://`` URI."""
    found = target(named)
    if isinstance(found, int):
        raise InvalidRequestError(f"{name} must be a file:// URI")
    return found
