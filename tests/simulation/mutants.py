"""Breaks each promise on purpose, and counts the schedules until the simulation notices.

``python -m tests.simulation.mutants [NAME...]`` prints the table, for the named mutants or for all.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from syncd.core import breaker, redact
from syncd.core.breaker import Breaker
from syncd.core.chunks import ChunkSet
from syncd.core.model import Stored
from syncd.remotes.image.stored_images import StoredImages
from syncd.remotes.sinks import CopyState
from syncd.store import claims, job_rows, uploads
from syncd.store.job_store import JobStore
from syncd.upload import source, worker
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.singleflight import InFlightUploads
from syncd.upload.source import FileSource
from syncd.upload.transfer import Transfer
from syncd.watch import folder
from syncd.watch.hints import HintBuffer, Hints
from syncd.watch.reconciler import Reconciler
from tests.simulation.mutant import Mutant, replaced
from tests.simulation.mutants_of_deletion import DELETION_MUTANTS
from tests.simulation.plan import draw
from tests.simulation.run import run
from tests.simulation.runner import environment

SCHEDULES = 1000


async def _finish(transfer: Transfer, session: Any) -> Stored:
    return Stored(ref=f"{transfer.content.key}:text")


def _unwoken(self: HintBuffer, *, overflow: bool = False) -> None:
    """Forget an overflow; every other doubt counts."""
    if not overflow:
        _doubt(self)


_doubt = HintBuffer.events_lost
_finish_claim = claims.finish_claim
_take = HintBuffer.drain


def _whatever_claim(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = job_rows.load(work.connection, job.id)
    return _finish_claim(work, job if row is None else replace(job, claim=row.claim), cause, **about)


def _whatever_version(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = job_rows.load(work.connection, job.id)
    return _finish_claim(work, job if row is None else replace(job, version=row.file_version), cause, **about)


def _no_directories(self: HintBuffer) -> Hints:
    hints = _take(self)
    hints.directories.clear()
    return hints


@contextlib.contextmanager
def _empty_is_empty() -> Iterator[None]:
    always = property(lambda self: self._queue.root, lambda self, _: None)
    with (
        mock.patch.object(Reconciler, "root_with_entries", always, create=True),
        mock.patch.object(folder, "_is_empty", return_value=False),
    ):
        yield


async def _whole(*about: Any) -> Any:
    return CopyState.INTACT


async def _acquire(self: ConcurrencyLimiter) -> None:
    self.in_flight += 1


async def _recover_nothing(*_: Any) -> int:
    return 0


async def _unknown_content(*_: Any) -> None:
    return None


MUTANTS = [
    Mutant(name="done before complete", promise="P1", applied=replaced(Transfer, "_finish", _finish)),
    Mutant(
        name="409 on register is done, without comparing",
        promise="P1",
        applied=replaced(StoredImages, "compare", _whole),
    ),
    Mutant(
        name="an overflow of the kernel's queue is forgotten",
        promise="P1",
        applied=replaced(HintBuffer, "events_lost", _unwoken),
    ),
    Mutant(name="a new directory is not scanned", promise="P1", applied=replaced(HintBuffer, "drain", _no_directories)),
    Mutant(
        name="interrupted jobs are not recovered", promise="P1", applied=replaced(JobStore, "recover", _recover_nothing)
    ),
    Mutant(
        name="a result counts for a version that is past",
        promise="P1",
        applied=replaced(claims, "finish_claim", _whatever_version),
    ),
    Mutant(
        name="a result counts under a stale claim",
        promise="P1",
        applied=replaced(claims, "finish_claim", _whatever_claim),
        elsewhere="tests/store/test_claims.py",
    ),
    Mutant(
        name="an empty mount point is an empty folder",
        promise="P1",
        applied=_empty_is_empty,
        elsewhere="tests/watch/test_failures.py",
    ),
    Mutant(
        name="no fingerprint is compared",
        promise="P2",
        applied=replaced(FileSource, "_check_fingerprint", lambda _: None),
    ),
    Mutant(
        name="no block is compared with its checksum",
        promise="P2",
        applied=replaced(source, "zlib", SimpleNamespace(crc32=lambda _: 0)),
    ),
    Mutant(
        name="the record of acknowledged chunks is forgotten",
        promise="P3",
        applied=replaced(uploads, "ChunkSet", lambda _: ChunkSet()),
    ),
    Mutant(
        name="a content that the server has is not known",
        promise="P3",
        applied=replaced(JobStore, "content", _unknown_content),
    ),
    Mutant(
        name="twins don't wait for each other", promise="P3", applied=replaced(InFlightUploads, "lead", lambda *_: None)
    ),
    Mutant(name="Retry-After is ignored", promise="P4", applied=replaced(breaker, "_asked_for", lambda _: 0.0)),
    Mutant(
        name="no breaker: every job probes",
        promise="P4",
        applied=replaced(Breaker, "_concerns_remote", lambda *_: False),
    ),
    Mutant(
        name="no limiter: requests are not counted",
        promise="P4",
        applied=replaced(ConcurrencyLimiter, "_acquire", _acquire),
    ),
    Mutant(name="claims are unbounded", promise="P5", applied=replaced(worker, "CLAIM_AHEAD", 10**6)),
    Mutant(name="a file that was read stays open", promise="P5", applied=replaced(FileSource, "close", lambda _: None)),
    *DELETION_MUTANTS,
    Mutant(name="nothing is masked", promise="P7", applied=replaced(redact.Redactor, "__call__", lambda _, text: text)),
]


def schedules_until_found(mutant: Mutant, first: int, count: int) -> tuple[int, str] | None:
    """Return the number of schedules and the broken promises, or None if no schedule noticed the mutant."""
    with mutant.applied():
        for number in range(count):
            if blames := run(draw(first + number)).blames:
                return number + 1, blames[0][0]
    return None


def noticed_by(tests: str, mutant: Mutant) -> bool:
    """Return whether ``tests`` fail with the mutant."""
    told = io.StringIO()
    with mutant.applied(), contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        return pytest.main(["-q", "-p", "no:cacheprovider", tests]) == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    """Print the table; return 1 if a mutant was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--seed", type=int, default=1, help="the first schedule")
    parser.add_argument("--count", type=int, default=SCHEDULES, help="the most schedules for each")
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a schedule
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation.mutants", *sys.argv[1:]], environment())
    missed = 0
    print("| promise | mutant | schedules until it was noticed | seen by |\n|---|---|---|---|")
    for mutant in MUTANTS:
        if asked.names and mutant.name not in asked.names:
            continue
        found = schedules_until_found(mutant, asked.seed, asked.count)
        number, seen = found or (f"none of {asked.count}", "not at all")
        if found is None and mutant.elsewhere and noticed_by(mutant.elsewhere, mutant):
            seen = mutant.elsewhere
        missed += seen == "not at all"
        print(f"| {mutant.promise} | {mutant.name} | {number} | {seen} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
