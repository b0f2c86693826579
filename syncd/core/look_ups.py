"""Decides which small files of a backlog to look up before they are sent.

A small file is sent in a single request, without a look-up. A server may have the files of a backlog already: the job
store is new after the loss of a machine, or another machine uploaded the same pictures. A look-up that finds nothing
costs two further requests, so :class:`BacklogLookUps` stops after several of them, and then only samples. A look-up
that finds a file starts them again. New files are not looked up.

:mod:`syncd.upload.session_start` asks, for each server. A large file needs no decision: each upload of it begins with a
look-up.
"""

MAX_MISSES = 16
"""So many look-ups in a row that find nothing end the look-ups."""
SAMPLE_INTERVAL = 64
"""After that, one of so many files is still looked up."""


class BacklogLookUps:
    """The decisions for one server, according to the results so far."""

    def __init__(self) -> None:
        self._misses = 0
        self._unasked = 0

    @property
    def only_samples(self) -> bool:
        """True after several look-ups in a row that found nothing."""
        return self._misses >= MAX_MISSES

    def next_is_due(self) -> bool:
        """Return whether to look up the next small file of the backlog."""
        if not self.only_samples:
            return True
        self._unasked += 1
        if self._unasked < SAMPLE_INTERVAL:
            return False
        self._unasked = 0
        return True

    def record(self, *, found: bool) -> None:
        """Record the result of a look-up of a file of the backlog, small or large."""
        self._misses = 0 if found else self._misses + 1
