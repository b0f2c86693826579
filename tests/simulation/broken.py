"""Breaks each promise on purpose, and counts the schedules until the simulation notices.

``python -m tests.simulation.broken`` prints the table; names of breakages as arguments choose among them.
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
from syncd.remotes.downloads import Copy
from syncd.remotes.image.stored_images import StoredImages
from syncd.store import claims, transitions, uploads
from syncd.upload import source, worker
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.singleflight import InFlightUploads
from syncd.upload.source import FileSource
from syncd.upload.upload import Upload
from syncd.watch import folder
from syncd.watch.folder import FolderWatch
from syncd.watch.observer import Hints, Mailbox
from tests.simulation.breakage import Breakage, instead
from tests.simulation.broken_deletions import CONDITIONS
from tests.simulation.plan import draw
from tests.simulation.run import run
from tests.simulation.runner import environment

SCHEDULES = 1000


async def _taken_as_done(_: Upload, content: Any, *about: Any) -> Stored:
    return Stored(ref=f"{content.key}:text")


def _finish(upload: Upload, session: Any, content: Any, source: Any) -> Any:
    return _taken_as_done(upload, content)


def _unwoken(self: Mailbox, *, overflow: bool = False) -> None:
    """Forget an overflow; every other doubt counts."""
    if not overflow:
        _doubt(self)


_doubt = Mailbox.doubt
_conclude = claims.conclude
_take = Mailbox.take


def _whatever_claim(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = transitions.load(work.connection, job.id)
    return _conclude(work, job if row is None else replace(job, claim=row.claim), cause, **about)


def _whatever_version(work: Any, job: Any, cause: Any, **about: Any) -> Any:
    row = transitions.load(work.connection, job.id)
    return _conclude(work, job if row is None else replace(job, version=row.file_version), cause, **about)


def _no_directories(self: Mailbox) -> Hints:
    hints = _take(self)
    hints.directories.clear()
    return hints


@contextlib.contextmanager
def _empty_is_empty() -> Iterator[None]:
    always = property(lambda self: self._intake.root, lambda self, _: None)
    with (
        mock.patch.object(FolderWatch, "_filled", always, create=True),
        mock.patch.object(folder, "_is_empty", return_value=False),
    ):
        yield


async def _whole(*about: Any) -> Any:
    return Copy.WHOLE


async def _enter(self: ConcurrencyLimiter) -> None:
    self.in_flight += 1


BREAKAGES = [
    Breakage(name="done before complete", promise="P1", broken=instead(Upload, "_finish", _finish)),
    Breakage(
        name="409 on register is done, without comparing",
        promise="P1",
        broken=instead(StoredImages, "compare", _whole),
    ),
    Breakage(
        name="an overflow of the kernel's queue is forgotten", promise="P1", broken=instead(Mailbox, "doubt", _unwoken)
    ),
    Breakage(name="a new directory is not scanned", promise="P1", broken=instead(Mailbox, "take", _no_directories)),
    Breakage(
        name="interrupted jobs are not recovered", promise="P1", broken=instead(claims, "recover", lambda *about: 0)
    ),
    Breakage(
        name="a result counts for a version that is past",
        promise="P1",
        broken=instead(claims, "conclude", _whatever_version),
    ),
    Breakage(
        name="a result counts under a stale claim",
        promise="P1",
        broken=instead(claims, "conclude", _whatever_claim),
        elsewhere="tests/store/test_claims.py",
    ),
    Breakage(
        name="an empty mount point is an empty folder",
        promise="P1",
        broken=_empty_is_empty,
        elsewhere="tests/watch/test_trouble.py",
    ),
    Breakage(name="no stamp is compared", promise="P2", broken=instead(FileSource, "_compare_stamp", lambda _: None)),
    Breakage(
        name="no block is compared with its checksum",
        promise="P2",
        broken=instead(source, "zlib", SimpleNamespace(crc32=lambda _: 0)),
    ),
    Breakage(
        name="the record of acknowledged chunks is forgotten",
        promise="P3",
        broken=instead(uploads, "ChunkSet", lambda _: ChunkSet()),
    ),
    Breakage(
        name="a content that the server has is not known",
        promise="P3",
        broken=instead(uploads, "content", lambda *_: None),
    ),
    Breakage(
        name="twins don't wait for each other", promise="P3", broken=instead(InFlightUploads, "lead", lambda *_: None)
    ),
    Breakage(name="Retry-After is ignored", promise="P4", broken=instead(breaker, "_asked_for", lambda _: 0.0)),
    Breakage(
        name="no breaker: every job probes",
        promise="P4",
        broken=instead(Breaker, "_concerns_remote", lambda *_: False),
    ),
    Breakage(
        name="no gate: requests are not counted", promise="P4", broken=instead(ConcurrencyLimiter, "_enter", _enter)
    ),
    Breakage(name="claims are unbounded", promise="P5", broken=instead(worker, "CLAIM_AHEAD", 10**6)),
    Breakage(name="a file that was read stays open", promise="P5", broken=instead(FileSource, "close", lambda _: None)),
    *CONDITIONS,
    Breakage(name="nothing is masked", promise="P7", broken=instead(redact.Redactor, "__call__", lambda _, text: text)),
]


def schedules_until_found(breakage: Breakage, first: int, count: int) -> tuple[int, str] | None:
    """Return how many schedules it took, and the promises that were seen broken; None if nothing noticed."""
    with breakage.broken():
        for number in range(count):
            if blames := run(draw(first + number)).blames:
                return number + 1, blames[0][0]
    return None


def noticed_by(tests: str, breakage: Breakage) -> bool:
    """Say whether those tests fail with what is broken."""
    told = io.StringIO()
    with breakage.broken(), contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        return pytest.main(["-q", "-p", "no:cacheprovider", tests]) == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    """Print the table; return 1 if something broken was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.broken", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--seed", type=int, default=1, help="the first schedule")
    parser.add_argument("--count", type=int, default=SCHEDULES, help="the most schedules for each")
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a schedule
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation.broken", *sys.argv[1:]], environment())
    missed = 0
    print("| promise | broken on purpose | schedules until it was noticed | seen by |\n|---|---|---|---|")
    for breakage in BREAKAGES:
        if asked.names and breakage.name not in asked.names:
            continue
        found = schedules_until_found(breakage, asked.seed, asked.count)
        number, seen = found or (f"none of {asked.count}", "not at all")
        if found is None and breakage.elsewhere and noticed_by(breakage.elsewhere, breakage):
            seen = breakage.elsewhere
        missed += seen == "not at all"
        print(f"| {breakage.promise} | {breakage.name} | {number} | {seen} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
