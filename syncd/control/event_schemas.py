"""Defines the types of the events of the control API, see :mod:`syncd.control.events`."""

import sys

from syncd.control.schemas import ByteCounts, SyncProgress

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # as in schemas
    from typing_extensions import TypedDict

EVENT_KINDS = ("daemon", "folder", "remote", "job", "progress", "log")
"""The kinds of events that a client can select; ``lost`` always arrives."""


class DaemonEvent(TypedDict):
    """The event ``daemon``: the state of the daemon changed.

    ``state``, ``stopped_until`` and ``store_blocked`` are as in the status. ``folders`` has the paths of all folders,
    ``remotes`` the names of all remotes.
    """

    state: str
    stopped_until: str | None
    store_blocked: str | None
    folders: list[str]
    remotes: list[str]


class JobEvent(TypedDict):
    """The event ``job``: the state of a job changed.

    The fields are those of a job and of its last transition.
    """

    id: int
    path: str
    folder: str
    remote: str
    state: str
    cause: str
    outcome: str | None
    detail: str | None
    size: int | None
    updated_at: str


class ActiveUpload(TypedDict):
    """An upload in progress: the server has ``sent`` of ``size`` bytes.

    ``stage`` is ``hashing``, for a large file, before the first request; then ``starting``, ``sending``, ``finishing``.
    """

    id: int
    path: str
    remote: str
    size: int
    sent: int
    stage: str


class Progress(TypedDict):
    """The event ``progress``: the active uploads, and the work left as in the status."""

    flights: list[ActiveUpload]
    jobs: dict[str, int]
    unreadable_files: int
    bytes: ByteCounts
    eta_seconds: float | None
    sync: SyncProgress


class LostEvents(TypedDict):
    """The event ``lost``: ``count`` events were dropped, because the client is slow."""

    count: int
