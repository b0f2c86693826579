"""Breaks each promise on purpose, and counts the schedules until that is noticed.

``python -m tests.simulation.mutants [NAME...]`` prints the table, for the named mutants or for all.
"""

import argparse
import contextlib
import io
import os
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from syncd.core import breaker, redact
from syncd.core.breaker import Breaker
from syncd.core.chunks import ChunkSet
from syncd.core.model import Stored
from syncd.remotes.downloads import CopyState
from syncd.remotes.image.stored_images import StoredImages
from syncd.store import claims, job_rows, uploads
from syncd.store.job_store import JobStore
from syncd.store.records import ContentQuery, ContentRecords
from syncd.upload import source, worker
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.singleflight import InFlightUploads
from syncd.upload.source import FileSource
from syncd.upload.transfer import Transfer
from syncd.watch import folder
from syncd.watch.hints import HintBuffer, Hints
from syncd.watch.scans import ScanRunner
from tests.simulation.mutant import Mutant, mutant, replaced, returning, returning_async
from tests.simulation.mutants_of_deletion import DELETION_MUTANTS
from tests.simulation.plan import draw
from tests.simulation.run import run
from tests.simulation.runner import environment

SCHEDULES = 1000


_events_lost = HintBuffer.events_lost
_drain = HintBuffer.drain
_finish_claim = claims.finish_claim
_content_records = JobStore.content_records


async def _finish_unconditionally(transfer: Transfer, session: Any) -> Stored:
    return Stored(ref=f"{transfer.content.key}:text")


async def _records_without_contents(store: JobStore, query: ContentQuery) -> ContentRecords:
    return replace(await _content_records(store, query), stored=None, anywhere=[])


def _forget_overflow(self: HintBuffer, *, overflow: bool = False) -> None:
    """Ignore an overflow; other lost events still request a scan."""
    if not overflow:
        _events_lost(self)


def _finish_any_claim(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = job_rows.load(work.connection, job.id)
    return _finish_claim(work, job if row is None else replace(job, claim=row.claim), cause, **about)


def _finish_any_version(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = job_rows.load(work.connection, job.id)
    return _finish_claim(work, job if row is None else replace(job, version=row.file_version), cause, **about)


def _drain_without_directories(self: HintBuffer) -> Hints:
    hints = _drain(self)
    hints.directories.clear()
    return hints


async def _acquire_without_limit(self: ConcurrencyLimiter, *, first: bool) -> None:
    self.in_flight += 1


_ROOT_HAS_ENTRIES = property(lambda self: self._queue.root, lambda self, _: None)

MUTANTS = [
    mutant("P1", "done before complete", replaced(Transfer, "_finish", _finish_unconditionally)),
    mutant(
        "P1",
        "409 on register is done, without comparing",
        replaced(StoredImages, "compare", returning_async(CopyState.INTACT)),
    ),
    mutant(
        "P1", "an overflow of the kernel's queue is forgotten", replaced(HintBuffer, "events_lost", _forget_overflow)
    ),
    mutant("P1", "a new directory is not scanned", replaced(HintBuffer, "drain", _drain_without_directories)),
    mutant("P1", "interrupted jobs are not recovered", replaced(JobStore, "recover", returning_async(0))),
    mutant("P1", "a result counts for an earlier version", replaced(claims, "finish_claim", _finish_any_version)),
    mutant(
        "P1",
        "a result counts under a stale claim",
        replaced(claims, "finish_claim", _finish_any_claim),
        other_tests="tests/store/test_claims.py",
    ),
    mutant(
        "P1",
        "an empty mount point is an empty folder",
        lambda: mock.patch.object(ScanRunner, "root_with_entries", _ROOT_HAS_ENTRIES, create=True),
        replaced(folder, "_is_empty", returning(False)),
        other_tests="tests/watch/test_failures.py",
    ),
    mutant("P2", "no fingerprint is compared", replaced(FileSource, "_check_fingerprint", returning(None))),
    mutant(
        "P2",
        "no block is compared with its checksum",
        replaced(source, "zlib", SimpleNamespace(crc32=returning(0))),
    ),
    mutant(
        "P3",
        "the record of acknowledged chunks is forgotten",
        replaced(uploads, "ChunkSet", lambda _: ChunkSet()),
    ),
    mutant(
        "P3",
        "a content that the server has is not known",
        replaced(JobStore, "content_records", _records_without_contents),
    ),
    mutant(
        "P3", "concurrent uploads of one content are not coalesced", replaced(InFlightUploads, "lead", returning(None))
    ),
    mutant("P4", "Retry-After is ignored", replaced(breaker, "_retry_after", returning(0.0))),
    mutant("P4", "no breaker: every job probes", replaced(Breaker, "_concerns_remote", returning(False))),
    mutant(
        "P4",
        "no limiter: requests are not counted",
        replaced(ConcurrencyLimiter, "_acquire_own", _acquire_without_limit),
    ),
    mutant("P5", "claims are unbounded", replaced(worker, "CLAIM_AHEAD", 10**6)),
    mutant("P5", "a file that was read stays open", replaced(FileSource, "close", returning(None))),
    *DELETION_MUTANTS,
    mutant(
        "P7", "nothing is redacted", replaced(redact.Redactor, "__call__", lambda _, text, limit=None: text[:limit])
    ),
]


def schedules_until_found(which: Mutant, first: int, count: int) -> tuple[int, str] | None:
    """Return (number of schedules, broken promise) for the first failure, or None without one."""
    with which.applied():
        for number in range(count):
            if violations := run(draw(first + number)).violations:
                return number + 1, violations[0][0]
    return None


def noticed_by(tests: str, which: Mutant) -> bool:
    """Return whether ``tests`` fail with the mutant."""
    output = io.StringIO()
    with which.applied(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        return pytest.main(["-q", "-p", "no:cacheprovider", tests]) == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    """Print the table; return 1 if a mutant was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these mutants")
    parser.add_argument("--seed", type=int, default=1, help="the first schedule")
    parser.add_argument("--count", type=int, default=SCHEDULES, help="the largest number of schedules for each mutant")
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a schedule
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation.mutants", *sys.argv[1:]], environment())
    missed = 0
    print("| promise | mutant | schedules until it was noticed | seen by |\n|---|---|---|---|")
    for each in MUTANTS:
        if asked.names and each.name not in asked.names:
            continue
        found = schedules_until_found(each, asked.seed, asked.count)
        number, seen = found or (f"none of {asked.count}", "not at all")
        if found is None and each.other_tests and noticed_by(each.other_tests, each):
            seen = each.other_tests
        missed += seen == "not at all"
        print(f"| {each.promise} | {each.name} | {number} | {seen} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
