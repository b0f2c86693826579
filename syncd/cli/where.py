"""Which of the watched files a command speaks of."""

import os
from collections.abc import Sequence

from syncd.cli.errors import Exit, Fault
from syncd.config.load import Loaded
from syncd.recovery.fetch import NotWatchedError, find_scopes
from syncd.store.copies import PathScope


def places_of(loaded: Loaded, paths: Sequence[str]) -> list[PathScope]:
    """Return where the ``paths`` that a person typed are, all folders for none; a fault for one that is not watched."""
    try:
        return find_scopes(loaded.config, [os.path.abspath(path) for path in paths])
    except NotWatchedError as error:
        raise Fault(str(error), code=Exit.FAILED) from None
