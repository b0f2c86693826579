"""Each ``after_upload`` action against each known server response.

The answers are in ``tests/remotes/confirmations.py``; the table is in ``docs/reference/confirmations.md``.
``python -m tests.daemon.test_deletion_confirmations`` writes it there again.
"""

import asyncio
import hashlib
import re
import sys
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from syncd.config.load import load
from syncd.control.service import JobQuery
from syncd.core.look_ups import BacklogLookUps
from syncd.core.model import Presence, Proof
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.daemon import Daemon
from tests.remotes.confirmations import READ_RESPONSES, UPLOAD_CASES, FakeServer, UploadCase
from tests.remotes.helpers import serve_app
from tests.support.wait import wait_until

DATA = b"ascii art " * 1000
ACTIONS = ("keep", "delete", "move")
CASES_PER_DAEMON = 16
"""Cases in one daemon, each with three folders."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "confirmations.md"
BEGIN, END = "<!-- answers: begin -->\n", "<!-- answers: end -->\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A response to the upload, and to the later request for the file."""

    upload: UploadCase
    read: Presence

    @property
    def name(self):
        return f"{self.upload}, file: {self.read.value}"

    @property
    def is_confirmed(self):
        """Return whether the server confirmed the content, so that the file may be deleted."""
        if not isinstance(self.upload.expected, Proof):
            return False
        if self.upload.api == "image":
            return self.read is Presence.YES and "read" not in self.upload.answers
        asked = self.upload.expected is Proof.NONE or self.upload.settings.get("hash") == "md5"
        return (self.upload.has_id and self.read is Presence.YES) if asked else True


def cases():
    for upload in UPLOAD_CASES:
        yield Case(upload=upload, read=Presence.YES)
        if isinstance(upload.expected, Proof) and (upload.expected is Proof.NONE or upload.api == "image"):
            for read in (Presence.NO, Presence.UNKNOWN):
                yield Case(upload=upload, read=read)


CASES = list(cases())
GROUPS = [CASES[start : start + CASES_PER_DAEMON] for start in range(0, len(CASES), CASES_PER_DAEMON)]


def data_of(name):
    """Return different content for each remote.

    For content that another remote has, the daemon asks the server first instead of a single-request upload.
    """
    return DATA + name.encode()


def digest(case, data):
    return (hashlib.md5 if case.upload.settings.get("hash") == "md5" else hashlib.sha256)(data).hexdigest()


def settings(base, group, urls):
    remotes, folders = {}, []
    for number, case in enumerate(group):
        for action in ACTIONS:
            name = f"r{number}-{action}"
            direct = {"direct": "auto" if "direct" in case.upload.answers else "never", "chunk_size": "100KiB"}
            api = direct if case.upload.api == "multipart" else {"encoding": "text"}
            remotes[name] = {"type": case.upload.api, "url": urls[name], **api, **case.upload.settings}
            inbox = base / name
            inbox.mkdir()
            (inbox / "a.txt").write_bytes(data_of(name))
            after = {"move": str(base / f"{name}-sent")} if action == "move" else action
            folders.append({"path": str(inbox), "remote": name, "watch": "poll", "settle": "0s", "after_upload": after})
    return {
        "folders": folders,
        "remotes": remotes,
        "scheduler": {"retry": {"initial": "1h", "max": "1h"}},
        "state_dir": str(base / "state"),
        "control": {"dashboard": "off"},
    }


async def outcomes(group, base):
    """Run one daemon against each response; return each job's state and its file's location."""
    async with AsyncExitStack() as stack:
        urls = {}
        for number, case in enumerate(group):
            for action in ACTIONS:
                name = f"r{number}-{action}"
                data = data_of(name)
                double = FakeServer(
                    data, digest(case, data), {"read": READ_RESPONSES[case.read], **case.upload.answers}
                )
                urls[name] = await stack.enter_async_context(serve_app(double.app))
        path = base / "config.yaml"
        path.write_text(yaml.safe_dump(settings(base, group, urls)))
        path.chmod(0o600)
        daemon = Daemon(load(path))
        running = asyncio.create_task(daemon.run())
        try:
            await wait_until(lambda: daemon.ready.is_set() or running.done())
            service = DaemonControlService(daemon)
            states = await wait_until(lambda: at_rest(service, len(urls)), "all uploads have come to an end")
            await daemon.after_upload.sweep()
        finally:
            daemon.request_shutdown()
            await running
    found = []
    for number, case in enumerate(group):
        for action in ACTIONS:
            name = f"r{number}-{action}"
            here, sent = base / name / "a.txt", base / f"{name}-sent" / "a.txt"
            assert not here.exists() or here.read_bytes() == data_of(name)
            assert not sent.exists() or sent.read_bytes() == data_of(name)
            assert here.exists() or sent.exists() or action == "delete"
            found.append((case, action, states[name], "stays" if here.exists() else "goes"))
    return found


async def at_rest(service, count):
    """Return the jobs' states by remote when each job was tried at least once, else None."""
    status = await service.status()
    away = {remote["name"] for remote in status["remotes"] if remote["state"] != "online"}
    jobs = (await service.jobs(JobQuery(limit=1000)))["jobs"]
    states = {job["remote"]: job["state"] for job in jobs}
    resting = [name for name, state in states.items() if state in ("done", "failed", "waiting") or name in away]
    return states if len(resting) == count else None


@pytest.fixture
def manual_sweep(monkeypatch):
    async def never(self):
        await asyncio.Event().wait()

    monkeypatch.setattr(AfterUploadTask, "run", never)


@pytest.fixture
def no_look_ups(monkeypatch):
    """Send small files directly.

    They are the backlog of a new store, and a look-up would begin a session.
    """
    monkeypatch.setattr(BacklogLookUps, "next_is_due", lambda _: False)


@pytest.mark.usefixtures("manual_sweep", "no_look_ups")
@pytest.mark.parametrize("group", GROUPS, ids=range(len(GROUPS)))
async def test_deletion_requires_confirmation_by_server(tmp_path, group):
    published = read_table()
    for case, action, state, becomes in await outcomes(group, tmp_path):
        may_go = case.is_confirmed and action != "keep"
        assert becomes == ("goes" if may_go else "stays"), (case.name, action, state)
        if action != "keep":
            assert published[case.upload.api, case.upload.name, case.read] == outcome(state, becomes), case.name


def outcome(state, becomes):
    return f"{'not done' if state in ('queued', 'waiting', 'failed') else state}, {becomes}"


def table(found):
    """Return the table in Markdown: responses with the same outcomes share a row."""
    cells = defaultdict(dict)
    for case, action, state, becomes in found:
        if action == "delete":
            cells[case.upload.api, case.upload.name][case.read] = outcome(state, becomes)
    rows = defaultdict(list)
    for (api, name), outcomes_of in cells.items():
        rows[api, tuple(outcomes_of.get(read, "") for read in Presence)].append(name)
    lines = [f"| API | answer to the upload | {' | '.join(ASKED.values())} |", "|---|---|---|---|---|"]
    for (api, ends), names in sorted(rows.items()):
        lines.append(f"| {api} | {'; '.join(f'`{name}`' for name in names)} | {' | '.join(ends)} |")
    return "\n".join(lines) + "\n"


ASKED = {
    Presence.YES: "the file",
    Presence.NO: "404",
    Presence.UNKNOWN: "403",
}


def read_table():
    """Return the published table: (API, response, presence of the file) to outcome."""
    text = DOCUMENT.read_text("utf-8")
    found = {}
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]:
        api, names, *ends = (cell.strip() for cell in line.strip("|").split("|"))
        for name in re.findall(r"`([^`]+)`", names):
            found |= {(api, name, read): end for read, end in zip(Presence, ends, strict=True)}
    return found


def main():
    async def never(self):
        await asyncio.Event().wait()

    AfterUploadTask.run = never
    found = []
    for number, group in enumerate(GROUPS):
        with tempfile.TemporaryDirectory() as base:
            found += asyncio.run(outcomes(group, Path(base)))
        print(f"{number + 1} of {len(GROUPS)}", file=sys.stderr)
    text = DOCUMENT.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    DOCUMENT.write_text(before + BEGIN + table(found) + END + after, "utf-8")


if __name__ == "__main__":
    main()
