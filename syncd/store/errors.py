"""Why the store can't be used. The text of each is one line: what, where, what to do."""


class StoreError(Exception):
    """The job store can't be used."""


class StoreDamaged(StoreError):  # noqa: N818 - it says what is wrong
    """The file is not a job store, or not a whole one."""


class StoreTooNew(StoreError):  # noqa: N818 - as above
    """The file was written by a later version of syncd."""


class StoreUnavailable(StoreError):  # noqa: N818 - as above
    """The file can't be read or written: permission, a folder that is missing, an error of the disk."""


class StoreMoved(StoreUnavailable):
    """The file that is open is not the one at its path any more."""


class StoreClosed(StoreError):  # noqa: N818 - as above
    """The store was closed before the work was done."""
