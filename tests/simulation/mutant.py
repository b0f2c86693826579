"""A mutant: the product with one protection removed, so that a promise can break.

:mod:`tests.simulation.mutants` and :mod:`tests.simulation.mutants_of_deletion` list them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")
Patch = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One protection of a promise; it is removed during the context of :meth:`applied`."""

    promise: str
    name: str
    patches: tuple[Patch, ...]
    other_tests: str | None = None
    """The tests that notice the mutant if the simulation cannot."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Remove the protection during the context."""
        with ExitStack() as stack:
            for patch in self.patches:
                stack.enter_context(patch())
            yield


def mutant(promise: str, name: str, *patches: Patch, other_tests: str | None = None) -> Mutant:
    """Return the mutant with all ``patches``."""
    return Mutant(promise=promise, name=name, patches=patches, other_tests=other_tests)


def replaced(target: Any, name: str, value: Any) -> Patch:
    """Return a patch that replaces the attribute ``name`` of ``target`` by ``value``."""
    return lambda: mock.patch.object(target, name, value)


def returning(value: T) -> Callable[..., T]:
    """Return a function that ignores its arguments and returns ``value``."""
    return lambda *_, **__: value


def returning_async(value: T) -> Callable[..., Awaitable[T]]:
    """Return a coroutine function that ignores its arguments and returns ``value``."""

    async def answer(*_: Any, **__: Any) -> T:
        return value

    return answer


@asynccontextmanager
async def without_effect(*_: Any) -> AsyncIterator[None]:
    """An asynchronous context manager that does nothing."""
    yield
