"""A mutant: the product with one protection removed, so that a promise can break."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One protection of a promise; it is removed while the context of ``applied()`` lasts."""

    name: str
    promise: str
    applied: Callable[[], AbstractContextManager[object]]
    elsewhere: str | None = None
    """The tests that notice the mutant if the simulation cannot."""


def replaced(target: Any, name: str, value: Any) -> Callable[[], AbstractContextManager[object]]:
    """Return a context manager factory that replaces the attribute ``name`` of ``target`` by ``value``."""
    return lambda: mock.patch.object(target, name, value)
