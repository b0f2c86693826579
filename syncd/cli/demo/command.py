"""``syncd demo``: receiver, daemon and sample images together, for a first look."""

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import click
from rich.console import Console

from syncd.cli import formatting, terminal
from syncd.cli.demo.arrivals import compare
from syncd.cli.demo.environment import Stage, set_up
from syncd.cli.demo.samples import write_all
from syncd.cli.errors import Exit, Fault
from syncd.cli.options import examples
from syncd.cli.progress import Flight, Progress, View
from syncd.control.client import ControlError, RequestRefusedError
from syncd.control.service import Job, JobQuery, Status
from syncd.core.states import State
from syncd.platform import signals

LOOK = 0.2
"""Seconds between two looks."""
STALL = 60.0
"""Seconds without any step after which a file is taken for stuck."""
_UNFINISHED = (State.QUEUED, State.UPLOADING, State.WAITING)
_ENDS = (State.DONE, State.FAILED, State.SKIPPED)

if sys.platform == "win32":
    COPY = r"copy %USERPROFILE%\Pictures\*.jpg"

    def quoted(text: str) -> str:
        """Return a text as one word of a command line."""
        return subprocess.list2cmdline([text])

else:
    COPY, quoted = "cp ~/Pictures/*.jpg", shlex.quote


@click.command(epilog=examples("syncd demo", "syncd demo --once"))
@click.option("--once", is_flag=True, help="End when all have arrived (0), or one has not (1).")
@click.option(
    "--dir", "folder", metavar="DIR", help="Where it plays. Default: a folder of yours among the temporary ones."
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The receiver's port. Default: any free one.")
def command(folder: str | None, port: int, *, once: bool) -> int:
    """See it at work on this machine, with nothing set up.

    Starts a receiver and a daemon in a folder of their own, drops sample images in, and shows them go up to both
    services.
    """
    console = terminal.console(stderr=True)
    with _ended_by_signals(), set_up(folder) as stage, stage.playing(port):
        click.echo(f"Receiver at {stage.url}, daemon watching {stage.inbox}.")
        if not once:
            click.echo(f"Dashboard: {invitation(stage)}")
        paths = _bring_up(stage, console)
        problems = compare(stage.client, stage.url, paths)
        for problem in problems:
            click.echo(problem, err=True)
        if not problems:
            size = formatting.size(sum(os.path.getsize(path) for path in paths))
            click.echo(f"{formatting.count(len(paths), 'file')}, {size}, are on both services, compared byte for byte.")
        if not once:
            _stay(stage, paths)
    return Exit.FAILED if problems else Exit.OK


def _bring_up(stage: Stage, console: Console) -> list[str]:
    """Drop the samples in and show how they go up; return their paths when all have come to an end."""
    with _dropping(stage.inbox) as dropped, Progress(console) as progress:
        last, since = None, time.monotonic()
        while True:
            if stage.ended():
                raise Fault("the daemon was shut down before all had arrived", code=Exit.FAILED)
            status = stage.client.status()
            progress.show(_view(status, stage))
            if dropped.done() and _all_ended(status, 2 * len(dropped.result())):
                return dropped.result()
            if (now := (status["jobs"], status["bytes"]["sent"])) != last or not dropped.done():
                last, since = now, time.monotonic()
            elif time.monotonic() - since > STALL:
                raise Fault(f"nothing has moved for {STALL:g} s: see {stage.daemon_log}", code=Exit.FAILED)
            time.sleep(LOOK)


def invitation(stage: Stage) -> str:
    """Return the address that opens the dashboard, or why there is none."""
    try:
        return f"{stage.client.dashboard()} (once, within a minute)"
    except RequestRefusedError as error:
        return str(error)


@contextmanager
def _dropping(inbox: str) -> Iterator[Future[list[str]]]:
    """Draw the samples in a thread; leaving the context early stops it at the next file."""
    enough = threading.Event()

    def drop() -> list[str]:
        paths = []
        for path in write_all(inbox, random.Random()):  # noqa: S311 - for pictures
            paths.append(path)
            if enough.is_set():
                break
        return paths

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(drop)
        finally:
            enough.set()


def _all_ended(status: Status, jobs: int) -> bool:
    counts = status["jobs"]
    return not any(counts[state] for state in _UNFINISHED) and sum(counts[state] for state in _ENDS) >= jobs


def _view(status: Status, stage: Stage) -> View:
    counts = status["jobs"]
    flights = stage.client.jobs(JobQuery(state=State.UPLOADING, limit=100))["jobs"] if counts["uploading"] else []
    return View(
        done=counts["done"],
        left=sum(counts[state] for state in _UNFINISHED),
        failed=counts["failed"],
        pending=status["bytes"]["pending"],
        per_second=status["bytes"]["per_second"],
        flights=[
            Flight(
                name=os.path.basename(job["path"]), remote=job["remote"], size=job["size"] or 0, sent=job.get("sent")
            )
            for job in flights
        ],
    )


def _stay(stage: Stage, paths: Sequence[str]) -> None:
    """Say what to try, and tell of each file that arrives, until Ctrl-C or ``ctl shutdown``."""
    for line in _advice(stage, paths):
        click.echo(line)
    told = {job["id"]: job["updated_at"] for job in stage.client.jobs(JobQuery(limit=1000))["jobs"]}
    try:
        while not stage.ended():
            for job in reversed(_latest(stage)):
                if job["state"] in _ENDS and told.get(job["id"]) != job["updated_at"]:
                    told[job["id"]] = job["updated_at"]
                    detail = f": {job['detail']}" if job["detail"] else ""
                    click.echo(formatting.clean(f"{job['remote']}  {job['state']}  {job['path']}{detail}"))
            time.sleep(2 * LOOK)
    except KeyboardInterrupt:
        click.echo("")
    click.echo(f"Ended. All of it stays in {stage.folder} until the next demo.")


def _latest(stage: Stage) -> list[Job]:
    try:
        return stage.client.jobs(JobQuery(limit=100))["jobs"]
    except ControlError:  # it is being shut down
        return []


def _advice(stage: Stage, paths: Sequence[str]) -> Iterator[str]:
    program, config = _program(), quoted(stage.config)
    art = next((path for path in paths if path.endswith("postcard.txt")), paths[0])
    ref = next((job["ref"] for job in stage.client.show(art) if job["remote"] == "ascii"), None) or ""
    yield ""
    yield "The daemon goes on watching. In another terminal, try:"
    yield ""
    yield f"  {COPY} {quoted(stage.inbox)}"
    for rest in ("open", "status", "jobs --limit 10", f"show {quoted(paths[1])}", "stop", "start", "logs -f"):
        yield f"  {program} ctl -c {config} {rest}"
    yield f"  curl {stage.url}/image/{ref.partition(':')[0]}"
    yield ""
    yield "Ctrl-C ends it."


def _program() -> str:
    """How the person at the keyboard would call us."""
    called = sys.argv[0]
    if os.path.basename(called).removesuffix(".exe") != "syncd":
        return f"{quoted(sys.executable)} -m syncd"
    return "syncd" if shutil.which("syncd") == os.path.abspath(called) else quoted(called)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let all that ends or hangs up unwind the stack, so that the children end in every case."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    numbers = {*signals.END, *signals.RELOAD} - {signal.SIGINT}
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
