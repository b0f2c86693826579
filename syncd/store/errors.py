"""The errors of the store. Each message is one line: the file, the problem, what to do."""


class StoreError(Exception):
    """The job store can't be used."""


class StoreDamagedError(StoreError):
    """The file is not a job store, or it is damaged."""


class StoreTooNewError(StoreError):
    """The file was written by a later version of syncd."""


class StoreUnavailableError(StoreError):
    """The file can't be read or written now.

    Once the store is open, writes do not raise this: they wait, for example while the disk is full.
    """


class StoreMovedError(StoreUnavailableError):
    """The open file is no longer the file at its path."""


class StoreClosedError(StoreError):
    """The store was closed before the call was carried out."""
