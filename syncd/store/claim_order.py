"""Selects the due jobs that a worker claims next, in the configured order.

Each statement reads every (state, large) pair from an index in order, so the cost of a claim does not grow with the
queue. :mod:`syncd.store.claims` claims the selected jobs.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, text, true, union_all

from syncd.core.model import ClaimOrder
from syncd.core.states import State
from syncd.store.job_rows import JOBS
from syncd.store.schema import jobs

_IS_NEW = text("NOT jobs.backlog")
"""Selects the jobs of new files through ``jobs_new``: the condition of that index, word for word."""
_KINDS = [(state, large) for state in (State.QUEUED, State.WAITING) for large in (False, True)]


def _claimable(*, newest_first: bool = False, only_new: bool = False) -> Select[Any]:
    """Return the statement for up to ``most`` due jobs.

    At most ``most_large`` of them have large files.
    """

    def due(state: State, *, large: bool) -> Select[int, float]:
        return (
            select(jobs.c.id, jobs.c.due_at)
            .where(jobs.c.remote_id == bindparam("remote"), jobs.c.state == state, jobs.c.large == large)
            .where(jobs.c.due_at <= bindparam("now") if state is State.WAITING else true())
            .where(_IS_NEW if only_new else true())
            .order_by(jobs.c.due_at.desc() if newest_first else jobs.c.due_at)
            .limit(bindparam("most_large" if large else "most"))
        )

    found = union_all(*(select(due(state, large=large).subquery()) for state, large in _KINDS)).subquery()
    order = (found.c.due_at.desc(), found.c.id.desc()) if newest_first else (found.c.due_at, found.c.id)
    return JOBS.join(found, found.c.id == jobs.c.id).order_by(*order).limit(bindparam("most"))


_OLDEST, _NEWEST = _claimable(), _claimable(newest_first=True)
_NEW = _claimable(newest_first=True, only_new=True)
_NEXT = select(
    *(
        select(func.min(jobs.c.due_at))
        .where(jobs.c.remote_id == bindparam("remote"), jobs.c.state == state, jobs.c.large == large)
        .scalar_subquery()
        for state, large in _KINDS
    )
)


def due_jobs(
    connection: Connection,
    remote_id: int,
    now: float,
    limit: int,
    *,
    large: int,
    order: ClaimOrder,
    new_turn: bool,
    only_new: bool,
) -> Sequence[Row[Any]]:
    """Return up to ``limit`` jobs to claim, in the order in which to start them.

    At most ``large`` of them have large files. With ``ClaimOrder.FAIR``, half of the jobs are those of new files, the
    newest first, and half are those due longest; ``new_turn`` decides who gets the odd one. A half that is not used up
    goes to the others. ``only_new`` leaves out the backlog.
    """

    def rows(statement: Select[Any], most: int, most_large: int) -> Sequence[Row[Any]]:
        parameters = {"remote": remote_id, "now": now, "most": most, "most_large": most_large}
        return connection.execute(statement, parameters).all()

    if only_new:
        return rows(_NEW, limit, large)
    if order is not ClaimOrder.FAIR:
        return rows(_NEWEST if order is ClaimOrder.NEWEST else _OLDEST, limit, large)
    new = rows(_NEW, (limit + new_turn) // 2, (large + new_turn) // 2)
    oldest = rows(_OLDEST, limit, large - sum(row.large for row in new))
    if len(oldest) < limit and {row.id for row in new} <= {row.id for row in oldest}:
        return oldest  # the whole queue
    turns = zip_longest(new, oldest) if new_turn else zip_longest(oldest, new)
    each = {row.id: row for row in chain.from_iterable(turns) if row is not None}
    return list(each.values())[:limit]


def next_due(connection: Connection, remote_id: int, now: float) -> float | None:
    """Return when the next job of a remote is due, at most ``now`` if one is queued.

    Return None if no job is pending.
    """
    times = connection.execute(_NEXT, {"remote": remote_id}).one()
    known = [
        min(time, now) if state is State.QUEUED else time
        for (state, _), time in zip(_KINDS, times, strict=True)
        if time is not None
    ]
    return min(known, default=None)
