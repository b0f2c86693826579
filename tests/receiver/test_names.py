"""The named links: what is linked under which name, and when a link is removed."""

import os
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from syncd.receiver import names
from tests.receiver.conftest import ReceiverClient, Start, sha256
from tests.receiver.test_expiry import HOUR, expiring_in
from tests.support.clock import OffsetClock

DATA = b"0123456789" * 30


async def send(client: ReceiverClient, name: str, data: bytes = DATA, **terms: str) -> None:
    form = aiohttp.FormData({**terms, "file_name": name})
    form.add_field("file", data, filename="blob")
    answer = await client.call("POST", "/api/files/upload/direct", data=form)
    assert answer.status == 200, answer.body


def linked(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "names").iterdir())}


async def test_every_way_to_upload_links_name(start: Start, folder: Path) -> None:
    client = await start(names=True)
    await send(client, "direct.jpg")
    task = await client.task(b"chunks", 6, file_name="chunks.jpg")
    await client.chunk(task, 0, b"chunks")
    await client.complete(task)
    assert (await (await client.create(DATA, file_name="known.jpg")).json())["file_exists"]
    assert linked(folder) == {"chunks.jpg": b"chunks", "direct.jpg": DATA, "known.jpg": DATA}
    assert (folder / "names/direct.jpg").samefile(folder / "files/finished" / sha256(DATA) / "data")


async def test_same_name_of_other_content_gets_suffix(start: Start, folder: Path) -> None:
    client = await start(names=True)
    for data in (DATA, b"other", DATA, b"other"):
        await send(client, "a.jpg", data)
    assert linked(folder) == {"a.jpg": DATA, f"a ({sha256(b'other')[:8]}).jpg": b"other"}


async def test_restart_links_files_without_name(start: Start, folder: Path) -> None:
    await send(await start(), "a.jpg")
    assert not (folder / "names").exists()
    await start(names=True)
    assert linked(folder) == {"a.jpg": DATA}
    await start(names=True)
    assert linked(folder) == {"a.jpg": DATA}


@pytest.mark.parametrize("again", [True, False])  # without the option, the links still go with their contents
async def test_expired_content_loses_all_its_names(
    start: Start, folder: Path, clock: OffsetClock, *, again: bool
) -> None:
    client = await start(names=True)
    await send(client, "kept.jpg", b"kept")
    for name in ("kept.jpg", "a.jpg", "b.jpg"):  # the first one gets a suffix
        await send(client, name, **expiring_in(clock, 1))
    (folder / "names/mine.jpg").write_bytes(b"a person's file")
    client = await start(names=again)
    clock.offset += 2 * HOUR
    assert (await client.call("GET", f"/api/files/{sha256(DATA)}")).status == 404
    assert linked(folder) == {"kept.jpg": b"kept", "mine.jpg": b"a person's file"}


async def test_damaged_content_loses_its_name(start: Start, folder: Path) -> None:
    client = await start(names=True)
    await send(client, "a.jpg")
    stored = folder / "files/finished" / sha256(DATA) / "data"
    stored.write_bytes(DATA[::-1])
    await send(client, "a.jpg")
    assert linked(folder) == {"a.jpg": DATA}


async def test_failed_link_does_not_fail_upload(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(1, "no hard links here")

    monkeypatch.setattr(os, "link", link)
    client = await start(names=True)
    with capture_logs() as logs:
        await send(client, "a.jpg")
    assert [line["error"] for line in logs if line["event"] == "receiver.not_named"] == ["[Errno 1] no hard links here"]


async def test_link_is_on_disk_before_answer(start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await start(names=True, fsync=True)
    steps: list[str] = []
    link = os.link

    def record_link(*args: str, **options: bool) -> None:
        link(*args, **options)  # type: ignore[arg-type]
        steps.append("link")

    monkeypatch.setattr(os, "link", record_link)
    monkeypatch.setattr(names, "sync_path", lambda path: steps.append(f"sync {Path(path).name}"))
    await send(client, "a.jpg")
    assert steps == ["link", "sync names"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a b.jpg", "a b.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\a.jpg", "a.jpg"),
        ("/abs/a.jpg", "a.jpg"),
        ("..", "_"),
        (".", "_"),
        ("a/..", "_"),
        ("/", "_"),
        (".htaccess", "_.htaccess"),
        ("C:a.jpg", "C_a.jpg"),
        ("a\n\x1b[2J\x00.jpg", "a__[2J_.jpg"),
        ("inv\u202egnp.exe", "inv_gnp.exe"),
        ("nul.txt", "_nul.txt"),
        ("a.jpg. ", "a.jpg"),
        ("e\u0301.jpg", "\xe9.jpg"),
    ],
)
def test_safe_name_has_no_path_and_no_controls(name: str, safe: str) -> None:
    assert names.safe_name(name) == safe


@pytest.mark.parametrize("name", ["ä" * 500 + ".jpeg", "x" * 500, "a." + "y" * 500])
async def test_long_names_are_shortened(start: Start, folder: Path, name: str) -> None:
    client = await start(names=True)
    for data in (DATA, b"other", b"third"):
        await send(client, name, data)
    assert sorted(linked(folder).values()) == sorted([DATA, b"other", b"third"])
    assert all(each.endswith(".jpeg") for each in linked(folder)) == name.endswith(".jpeg")
