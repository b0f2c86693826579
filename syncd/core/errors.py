"""The failures of an upload, classified by their consequence.

Remotes and file sources raise only these classes. :mod:`~syncd.upload.upload` derives the job's next state from the
class. The message of each failure is one sentence for the user.
"""

from enum import StrEnum


class Scope(StrEnum):
    """The part of the uploads that a transient failure concerns."""

    FILE = "file"
    """The content of this file. Any number of such failures says nothing about the server."""
    JOB = "job"
    """The upload of this file. Other uploads may succeed, but many such failures count against the server."""
    REMOTE = "remote"
    """The whole server: all its jobs wait."""


class Failure(Exception):  # noqa: N818 - the field's term: a failure is classified, then handled
    """An upload failed. ``str()`` is the ``problem``, followed by the ``advice`` if any."""

    def __init__(self, problem: str = "", *, advice: str = "") -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem = problem
        self.advice = advice


class Transient(Failure):
    """A temporary failure: the job is tried again later.

    ``retry_after`` is the server's Retry-After, in seconds. ``overload`` means that the server is overloaded (429, 503,
    a timeout), and that fewer requests should be in flight. Some responses, such as 502 or an HTML page, do not show
    whether the whole server fails. They have scope REMOTE and set ``if_reachable``: a request that concerns no file is
    sent, and if it succeeds, the scope is ``if_reachable``.
    """

    def __init__(
        self,
        problem: str,
        *,
        advice: str = "",
        scope: Scope = Scope.JOB,
        retry_after: float | None = None,
        overload: bool = False,
        if_reachable: Scope | None = None,
    ) -> None:
        super().__init__(problem, advice=advice)
        self.scope = scope
        self.retry_after = retry_after
        self.overload = overload
        self.if_reachable = if_reachable

    def reduced(self) -> "Transient":
        """Return the same failure with the scope for a reachable server."""
        return Transient(
            self.problem,
            advice=self.advice,
            retry_after=self.retry_after,
            overload=self.overload,
            scope=self.if_reachable or self.scope,
        )


class CutOff(Transient):
    """The connection was closed while the request's body was being sent.

    The server may limit the duration of requests. Over a slow connection, fewer or smaller requests succeed
    (:mod:`~syncd.core.concurrency`, :mod:`~syncd.remotes.chunk_sizes`).
    """

    def __init__(self, problem: str, *, advice: str = "") -> None:
        super().__init__(problem, advice=advice, overload=True)


class Unauthorized(Failure):
    """The server rejects the token; no upload to this remote can succeed until a user acts.

    :mod:`~syncd.remotes.response_failures` returns it for a 401, and :mod:`~syncd.core.breaker` stops the remote.
    """


class Permanent(Failure):
    """The server will never accept this file as it is; a user must act."""


class SessionLost(Failure):
    """The server no longer has this upload session; the upload must begin again."""


class Unwanted(Failure):
    """A user has cancelled the upload of this content, whose SHA-256 is ``sha256``."""

    def __init__(self, sha256: str) -> None:
        super().__init__("cancelled by a person")
        self.sha256 = sha256


class NotStored(Failure):
    """The server no longer has the uploaded content."""


class FileChanged(Failure):
    """The file has changed since it was queued or hashed; it must be read again."""


class FileInUse(Failure):
    """Another program has the file open for writing; the upload must wait."""


class FileGone(Failure):
    """The file is gone."""


class FileUnreadable(Failure):
    """The file exists but cannot be read: no permission, or a disk error.

    A user must act.
    """


class FileLocked(Failure):
    """Another program has locked the file; the upload must wait."""


class NotUploadable(Failure):
    """The file must not be sent: it is empty, too large, or not a regular file."""
