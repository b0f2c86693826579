"""``syncd demo``: uploads sample images to a receiver and compares the copies.

``demo.environment`` runs the receiver and a daemon, ``demo.samples`` draws the images, and ``demo.compare`` compares.
"""

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import click
from rich.console import Console

from syncd.cli import formatting, terminal
from syncd.cli.demo.compare import compare
from syncd.cli.demo.environment import DemoEnvironment, set_up
from syncd.cli.demo.samples import write_all
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import examples
from syncd.cli.progress import Progress
from syncd.control.client import ControlError, RequestRefusedError
from syncd.control.schemas import Job, Status
from syncd.control.service import JobQuery
from syncd.core.progress import FileProgress, WorkProgress
from syncd.core.states import State
from syncd.platform import signals
from syncd.platform.child_process import COPY_PICTURES_COMMAND, quote_argument

POLL_INTERVAL_SECONDS = 0.2
"""Time between two status requests to the daemon."""
STALL_TIMEOUT_SECONDS = 60.0
"""Time without progress after which the demo gives up."""
_UNFINISHED = (State.QUEUED, State.UPLOADING, State.WAITING)
_FINISHED = (State.DONE, State.FAILED, State.SKIPPED)


@click.command(epilog=examples("syncd demo", "syncd demo --once"))
@click.option("--once", is_flag=True, help="Exit when all files have arrived (0), or one has failed (1).")
@click.option("--dir", "folder", metavar="DIR", help="The demo's folder. Default: one in the temporary folder.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The receiver's port. Default: any free one.")
def command(folder: str | None, port: int, *, once: bool) -> int:
    """Try syncd on this machine without a configuration.

    Starts a receiver and a daemon in a separate folder, creates sample images there, and shows their upload to two
    remotes.
    """
    console = terminal.console(stderr=True)
    with _ended_by_signals(), set_up(folder) as environment, environment.services(port):
        click.echo(f"Receiver at {environment.url}, daemon watching {environment.inbox}.")
        if not once:
            click.echo(f"Dashboard: {dashboard_line(environment)}")
        paths = _upload_samples(environment, console)
        problems = compare(environment.client, environment.url, paths)
        for problem in problems:
            click.echo(problem, err=True)
        if not problems:
            size = formatting.size(sum(os.path.getsize(path) for path in paths))
            click.echo(f"{formatting.count(len(paths), 'file')}, {size}, are on both remotes, compared byte for byte.")
        if not once:
            _stay(environment, paths)
    return ExitCode.FAILED if problems else ExitCode.OK


def _upload_samples(environment: DemoEnvironment, console: Console) -> list[str]:
    """Create and upload the samples, and show the progress.

    Returns their paths when all jobs have finished. Raises :class:`CommandError` if the daemon ends, or makes no
    progress for :data:`STALL_TIMEOUT_SECONDS`.
    """
    with _sample_writer(environment.inbox) as written, Progress(console) as progress:
        last, since = None, time.monotonic()
        while True:
            if environment.ended():
                raise CommandError("the daemon was shut down before all files had arrived", code=ExitCode.FAILED)
            status = environment.client.status()
            progress.show(_view(status, environment))
            if written.done() and _all_finished(status, 2 * len(written.result())):
                return written.result()
            if (now := (status["jobs"], status["bytes"]["sent"])) != last or not written.done():
                last, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_TIMEOUT_SECONDS:
                raise CommandError(
                    f"no progress for {STALL_TIMEOUT_SECONDS:g} s; see {environment.daemon_log}", code=ExitCode.FAILED
                )
            time.sleep(POLL_INTERVAL_SECONDS)


def dashboard_line(environment: DemoEnvironment) -> str:
    """Return the login address of the dashboard, or the reason why there is none."""
    try:
        return f"{environment.client.dashboard()} (works once within a minute)"
    except RequestRefusedError as error:
        return str(error)


@contextmanager
def _sample_writer(inbox: str) -> Iterator[Future[list[str]]]:
    """Write the samples in a thread, and yield the future list of their paths.

    The thread stops after its current file when the context ends.
    """
    stop = threading.Event()

    def write() -> list[str]:
        paths = []
        for path in write_all(inbox, random.Random()):  # noqa: S311 - not for security
            paths.append(path)
            if stop.is_set():
                break
        return paths

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(write)
        finally:
            stop.set()


def _all_finished(status: Status, jobs: int) -> bool:
    counts = status["jobs"]
    return not any(counts[state] for state in _UNFINISHED) and sum(counts[state] for state in _FINISHED) >= jobs


def _view(status: Status, environment: DemoEnvironment) -> WorkProgress:
    counts = status["jobs"]
    uploads = environment.client.jobs(JobQuery(state=State.UPLOADING, limit=100))["jobs"] if counts["uploading"] else []
    return WorkProgress(
        done=counts["done"],
        left=sum(counts[state] for state in _UNFINISHED),
        failed=counts["failed"],
        pending=status["bytes"]["pending"],
        per_second=status["bytes"]["per_second"],
        files=[
            FileProgress(
                name=os.path.basename(job["path"]), label=job["remote"], size=job["size"] or 0, sent=job.get("sent")
            )
            for job in uploads
        ],
    )


def _stay(environment: DemoEnvironment, paths: Sequence[str]) -> None:
    """Print commands to try, then each finished job, until the demo is ended."""
    for line in _commands_to_try(environment, paths):
        click.echo(line)
    printed = {job["id"]: job["updated_at"] for job in environment.client.jobs(JobQuery(limit=1000))["jobs"]}
    try:
        while not environment.ended():
            for job in reversed(_latest(environment)):
                if job["state"] in _FINISHED and printed.get(job["id"]) != job["updated_at"]:
                    printed[job["id"]] = job["updated_at"]
                    detail = f": {job['detail']}" if job["detail"] else ""
                    click.echo(formatting.clean(f"{job['remote']}  {job['state']}  {job['path']}{detail}"))
            time.sleep(2 * POLL_INTERVAL_SECONDS)
    except KeyboardInterrupt:
        click.echo("")
    click.echo(f"Ended. The files stay in {environment.folder} until the next demo.")


def _latest(environment: DemoEnvironment) -> list[Job]:
    try:
        return environment.client.jobs(JobQuery(limit=100))["jobs"]
    except ControlError:  # the daemon is shutting down
        return []


def _commands_to_try(environment: DemoEnvironment, paths: Sequence[str]) -> Iterator[str]:
    program, config = _program(), quote_argument(environment.config)
    art = next((path for path in paths if path.endswith("postcard.txt")), paths[0])
    ref = next((job["ref"] for job in environment.client.show(art) if job["remote"] == "ascii"), None) or ""
    yield ""
    yield "The daemon keeps watching. In another terminal, try:"
    yield ""
    yield f"  {COPY_PICTURES_COMMAND} {quote_argument(environment.inbox)}"
    for rest in ("open", "status", "jobs --limit 10", f"show {quote_argument(paths[1])}", "stop", "start", "logs -f"):
        yield f"  {program} ctl -c {config} {rest}"
    yield f"  curl {environment.url}/image/{ref.partition(':')[0]}"
    yield ""
    yield "Ctrl-C ends the demo."


def _program() -> str:
    """Return the shell command that runs this syncd."""
    called = sys.argv[0]
    if os.path.basename(called).removesuffix(".exe") != "syncd":
        return f"{quote_argument(sys.executable)} -m syncd"
    return "syncd" if shutil.which("syncd") == os.path.abspath(called) else quote_argument(called)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Raise ``SystemExit`` for signals, so that the child processes end too."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    numbers = {*signals.END, *signals.RELOAD} - {signal.SIGINT}
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
