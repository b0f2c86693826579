"""The statements of each start, rescan and removal use an index, even without statistics."""

import re

import pytest

from syncd.core.model import ClaimOrder
from syncd.store import claims, files, removals
from syncd.store.claim_order import due_jobs
from syncd.store.transitions import UnitOfWork
from tests.store.support import FOLDER, observe, query_plans, seen


async def test_recover_searches_indexes(store, remote, clock):
    await observe(store, remote, seen("a"))

    def recover(connection) -> None:
        claims.recover(UnitOfWork(connection=connection, now=clock.now), "tests")

    leased, waiting = await store.database.write(lambda connection: query_plans(connection, recover))
    assert leased == "SEARCH jobs USING COVERING INDEX jobs_by_owner (lease_owner>?)"
    assert waiting.startswith("SEARCH jobs USING INDEX jobs_by_due (remote_id=? AND state=? AND large=?)")


async def test_shift_due_times_searches_index(store, clock):
    def shift(connection) -> None:
        claims.shift_due_times(UnitOfWork(connection=connection, now=clock.now), 60.0)

    (waiting,) = await store.database.write(lambda connection: query_plans(connection, shift))
    assert waiting.startswith("SEARCH jobs USING INDEX jobs_by_due (remote_id=? AND state=? AND large=?)")


async def test_queries_of_present_files_search_their_index(store, remote):
    def ask(connection) -> None:
        files.paths(connection, FOLDER, after="a")
        removals.uploaded(connection, FOLDER, [remote], after="a")
        removals.uploaded_count(connection, FOLDER, [remote])

    plans = await store.database.read(lambda connection: query_plans(connection, ask))
    of_files = [plan for plan in plans if plan.startswith("SEARCH files")]
    assert len(of_files) == 3
    for plan in of_files:
        assert "INDEX files_present (folder=?" in plan


@pytest.mark.parametrize(
    ("values", "indexes"),
    [
        ({"order": ClaimOrder.OLDEST}, {"jobs_by_due"}),
        ({"order": ClaimOrder.NEWEST}, {"jobs_by_due"}),
        ({"order": ClaimOrder.FAIR}, {"jobs_by_due", "jobs_new"}),
        ({"order": ClaimOrder.FAIR, "only_new": True}, {"jobs_new"}),
    ],
)
async def test_due_jobs_reads_indexes_in_order(store, remote, values, indexes):
    def select(connection) -> None:
        due_jobs(connection, remote, 1.0, 9, **{"large": 4, "new_turn": True, "only_new": False, **values})

    plans = await store.database.read(lambda connection: query_plans(connection, select))
    of_jobs = [step for plan in plans for step in plan.split(", ") if "jobs" in step and "rowid=?" not in step]
    assert {re.search(r"INDEX (\w+) \(remote_id=\? AND state=\? AND large=\?", step)[1] for step in of_jobs} == indexes
    # The sorts left are of the up to four lists of each statement, no longer than the claim.
    assert sum(plan.count("USE TEMP B-TREE FOR ORDER BY") for plan in plans) == len(plans)
