"""Shortens the imports of a command, which are most of its start time.

:mod:`syncd.cli` imports each command with the garbage collector paused; ``syncd run`` also skips the parts of libraries
that it never uses.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector during imports, and freeze all objects afterwards.

    Later collections skip the frozen objects. Modules and classes live until the process ends, but each full collection
    would visit them again, also the one at the end of the process.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def skipped_parts() -> Iterator[None]:
    """Skip parts of imported libraries that the daemon does not use.

    The context must enclose the imports.

    - structlog loads rich, for tracebacks that the daemon does not format with it.
    - aiohttp reads the system's certificate authorities twice, for TLS contexts that it keeps for requests without a
      context. :class:`syncd.remotes.http.Http` gives every request its own context. Without authorities, aiohttp's
      own context trusts no server, so a request that used it would fail.
    """
    import ssl  # noqa: PLC0415 - slow; the other commands do not need it

    with _absent("rich"):
        # This shadows the method of the base class, until it is deleted.
        ssl.SSLContext.set_default_verify_paths = _load_nothing  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            del ssl.SSLContext.set_default_verify_paths


def _load_nothing(_context: object) -> None:
    """Load no certificate authorities."""


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Make ``import name`` raise ImportError, unless the module has been imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # documented: the import system treats None as absent
    try:
        yield
    finally:
        del sys.modules[name]
