"""One thing taken away on purpose that keeps a promise."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True, kw_only=True, slots=True)
class Breakage:
    """One thing that keeps a promise, taken away while ``broken()`` lasts."""

    name: str
    promise: str
    broken: Callable[[], AbstractContextManager[object]]
    elsewhere: str | None = None
    """The tests that notice, where simulated life goes on well without it."""


def instead(target: Any, name: str, value: Any) -> Callable[[], AbstractContextManager[object]]:
    """Return what has another ``value`` in its place for a while."""
    return lambda: mock.patch.object(target, name, value, create=True)
