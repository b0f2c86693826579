"""Why the store can't be used. The text of each is one line: what, where, what to do."""


class StoreError(Exception):
    """The job store can't be used."""


class StoreDamagedError(StoreError):
    """The file is not a job store, or not a whole one."""


class StoreTooNewError(StoreError):
    """The file was written by a later version of syncd."""


class StoreUnavailableError(StoreError):
    """The file can't be read or written: permission, a folder that is missing, an error of the disk."""


class StoreMovedError(StoreUnavailableError):
    """The file that is open is not the one at its path any more."""


class StoreClosedError(StoreError):
    """The store was closed before the work was done."""
