"""Unusual names and sizes, and files that are replaced between scan and upload."""

import asyncio
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.core.model import FoundFile
from syncd.daemon.once import once
from syncd.upload.source import fingerprint_of
from tests.daemon.harness import DaemonHarness, running_receiver
from tests.support.data import random_bytes
from tests.support.wait import wait_until

TIB = 1024**4

ODD = [
    *(b"\xff\xfe", b"\xc3\x28", b"\x7f", b"\n", b"\r\n", b"\t", b" ", b"\x1b[2J", b"'", b'"', b"\\", b"$(id)"),
    *(b"%s%n", b"*", b"?", b"[a]", b"-rf", b"COM1", b"..x", b"a" * 200, b"e\xcc\x81"),
    *("\u202e".encode(), "é".encode(), "🌷".encode(), "ك".encode()),
]
pieces = st.binary(min_size=1, max_size=60) | st.sampled_from(ODD)
names = st.lists(pieces, min_size=1, max_size=4).map(
    lambda parts: b"".join(parts)[:200].translate(None, b"/\0") + b".jpg"
)


def fill(inbox, found, folders):
    """Write a file with each name, some of them in folders; return a mapping path: content."""
    content = {}
    for number, name in enumerate(found):
        below = os.path.join(inbox, folders[number % len(folders)][:-4] or b"d") if number % 3 == 0 else inbox
        os.makedirs(below, exist_ok=True)
        path = os.path.join(below, name)
        content[os.fsdecode(path)] = random_bytes(50 + number, number)
        with open(path, "wb") as file:
            file.write(content[os.fsdecode(path)])
    return content


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(found=st.lists(names, min_size=10, max_size=40, unique=True), folders=st.lists(names, min_size=1, max_size=2))
def test_upload_any_name_and_content_is_intact(tmp_path_factory, found, folders):
    """Scan, store and upload real files to both services of a real receiver."""

    async def run():
        folder = tmp_path_factory.mktemp("names")
        inbox = os.fsencode(folder / "inbox")
        async with running_receiver(folder / "received") as url:
            harness = DaemonHarness(folder, url)
            harness.settings["folders"][0] |= {"remote": ["drive", "ascii"], "exclude": ["!.*", "!*~", "!~*"]}
            content = fill(inbox, found, folders)
            summary = await once(harness.write().config)
            assert summary.problems == []
            assert summary.uploaded == 2 * len(content)
            await harness.start()
            for path, data in content.items():
                jobs = await harness.service.show(path)
                assert {job["state"] for job in jobs} == {"done"}
                assert await harness.content(next(job for job in jobs if job["remote"] == "drive")) == data
            await harness.stop()

    asyncio.run(run())


async def test_upload_five_tebibyte_file_is_skipped_unread(harness):
    path = harness.inbox / "sparse.tif"
    with path.open("wb") as file:
        try:
            os.truncate(file.fileno(), 5 * TIB)
        except OSError:
            pytest.skip("the file system has no such files")
    began, read = time.monotonic(), bytes_read()
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(skipped=1, done=1)
    (job,) = await harness.show("sparse.tif")
    assert "larger than max_size" in job["detail"]
    assert time.monotonic() - began < 20
    assert bytes_read() - read < 64 * 1024 * 1024


def bytes_read():
    with open("/proc/self/io") as io:
        return int(io.readline().split()[1])


def fifo(path, _):
    os.unlink(path)
    os.mkfifo(path)


def link(path, secret):
    os.unlink(path)
    os.symlink(secret, path)


def link_to_shadow(path, _):
    os.unlink(path)
    os.symlink("/etc/shadow", path)


def hard_link_of_a_fifo(path, secret):
    os.mkfifo(f"{secret}.fifo")
    os.unlink(path)
    os.link(f"{secret}.fifo", path)


def folder_instead(path, _):
    os.unlink(path)
    os.mkdir(path)


def parent_link(path, secret):
    """Replace its folder by a link to another folder with a file of the same name."""
    parent = os.path.dirname(path)
    os.rename(parent, f"{secret}.moved")
    elsewhere = f"{secret}.elsewhere"
    os.mkdir(elsewhere)
    os.link(secret, os.path.join(elsewhere, os.path.basename(path)))
    os.symlink(elsewhere, parent)


def parent_link_to_itself(path, secret):
    """Replace its folder by a link to the moved folder: the file is the queued one."""
    parent = os.path.dirname(path)
    os.rename(parent, f"{secret}.moved")
    os.symlink(f"{secret}.moved", parent)


@pytest.mark.parametrize(
    "become", [fifo, link, link_to_shadow, hard_link_of_a_fifo, folder_instead, parent_link, parent_link_to_itself]
)
async def test_upload_replaced_file_is_not_opened(harness, tmp_path, monkeypatch, become):
    """The file is replaced between scan and upload; a FIFO does not block the next files."""
    # Without the recheck, the watch does not check the file again too soon.
    monkeypatch.setattr("syncd.daemon.folders.Folders.recheck", lambda *_: None)
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for the server " * 50)
    harness.settings["scheduler"]["concurrency"] = 1
    await harness.start()
    await harness.service.stop(now=False)
    (harness.inbox / "sub").mkdir()
    path = harness.inbox / "sub" / "a.jpg"
    path.write_bytes(random_bytes(3000))
    await harness.wait_for_counts(queued=1)
    runtime = harness.daemon.runtime
    await runtime.folders.close()  # so that no watch reports the change
    opened = []
    real = os.open

    def recording(name, *rest, **options):
        opened.append(os.fsdecode(name) if isinstance(name, str | bytes) else name)
        return real(name, *rest, **options)

    become(os.fspath(path), os.fspath(secret))
    monkeypatch.setattr(os, "open", recording)
    await harness.service.start()

    async def settled():
        (record,) = await runtime.store.jobs([runtime.remote_ids["drive"]])
        return record.state not in ("queued", "uploading") and record

    record = await wait_until(settled)
    assert record.state in ("skipped", "waiting", "done", "failed")
    assert record.outcome is None
    assert not [name for name in opened if str(name).endswith("a.jpg")]
    counters = await harness.counters()
    assert (counters["files"], counters["chunks_received"], counters["unfinished"]) == (0, 0, 0)
    (other := harness.inbox / "b.jpg").write_bytes(random_bytes(500))
    await runtime.store.observe(
        str(harness.inbox), [seen(other)], [runtime.remote_ids["drive"]], is_gone=lambda *_: False
    )

    async def other_is_done():
        return (await harness.counters())["files"] == 1

    await wait_until(other_is_done)


def seen(path):
    return FoundFile(path=path.name, fingerprint=fingerprint_of(path.stat()))
