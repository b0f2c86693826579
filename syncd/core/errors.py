"""Why an upload stopped, in the words of the engine.

A remote and a source raise these and nothing else; the engine decides by the class alone what becomes of
the job. The text of each is one sentence for a person.
"""

from enum import StrEnum


class Scope(StrEnum):
    """How far a passing failure reaches."""

    FILE = "file"
    """This file's content alone: it says nothing about the server, however many files have the same trouble."""
    JOB = "job"
    """This file's upload; others may well succeed."""
    REMOTE = "remote"
    """The server as a whole: every job of it waits together."""


class Failure(Exception):  # noqa: N818 - the field's term: a failure is classified, then handled
    """An upload stopped; ``str()`` says why: the ``problem``, and the ``advice`` where there is some."""

    def __init__(self, problem: str = "", *, advice: str = "") -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem = problem
        self.advice = advice


class Transient(Failure):
    """It may well pass by itself: try again later.

    ``retry_after`` is what the server asked for, in seconds. ``overload`` says that it has too much to do
    (429, 503, a time-out), so fewer requests should be in flight. Scope REMOTE is a guess
    where ``if_reachable`` is set (a page, 502): a request that has nothing to do with any file decides, and
    ``if_reachable`` is the scope if the server answers that one.
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
        """Return the same failure with the scope that it has if the server is reachable."""
        return Transient(
            self.problem,
            advice=self.advice,
            retry_after=self.retry_after,
            overload=self.overload,
            scope=self.if_reachable or self.scope,
        )


class CutOff(Transient):
    """A request was cut off after seconds, with its body under way: the server may limit the time of a request.

    Fewer requests in flight, and then smaller ones, get through on a slow line.
    """

    def __init__(self, problem: str, *, advice: str = "") -> None:
        super().__init__(problem, advice=advice, overload=True)


class Unauthorized(Failure):
    """The server does not accept the token; nothing of this remote can go until that is mended."""


class Permanent(Failure):
    """The server will never take this file as it is; a person has to look."""


class SessionLost(Failure):
    """The server no longer knows this upload; it has to be begun again."""


class Unwanted(Failure):
    """A person has cancelled the upload of this very content, whose SHA-256 is ``sha256``."""

    def __init__(self, sha256: str) -> None:
        super().__init__("cancelled by a person")
        self.sha256 = sha256


class NotStored(Failure):
    """The server does not have any more what was uploaded to it."""


class FileChanged(Failure):
    """The file is not the one that was hashed; it has to be read again."""


class FileInUse(Failure):
    """Another program has the file open for writing; it has to be waited for."""


class FileGone(Failure):
    """There is no such file any more."""


class FileUnreadable(Failure):
    """The file is there but can't be read now: permission, or an error of the disk."""


class NotUploadable(Failure):
    """The file is not of a kind that is ever sent: empty, too large, or not a regular file."""
