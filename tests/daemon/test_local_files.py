"""Previews and originals of a real daemon, requested as the dashboard does."""

import io
import os
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests.support.data import random_bytes
from tests.support.images import HARMFUL, KINDS
from tests.support.wait import wait_until


async def job_of(harness, name, data=None, states=("queued", "skipped")):
    if data is not None:
        (harness.inbox / name).parent.mkdir(exist_ok=True)
        (harness.inbox / name).write_bytes(data)
    return (await harness.wait_for_states(name, *states))[0]


async def get(http, what, status=200, headers=None, **query):
    async with http.get(f"/v1/{what}", params=query, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return answer.headers, await answer.read()


async def rejection(http, what, job):
    async with http.get(f"/v1/{what}", params={"job": job["id"]}) as answer:
        assert answer.status == 404
        (reason,) = (await answer.json()).values()
        assert "\n" not in reason
        return reason


@pytest.mark.e2e
async def test_local_files_preview_and_original(stopped, http):
    job = await job_of(stopped, "a.jpg", KINDS["jpg"])
    headers, body = await get(http, "preview", job=job["id"])
    assert headers["Content-Type"] == "image/webp"
    assert Image.open(io.BytesIO(body)).size == (200, 100)
    headers, body = await get(http, "original", job=job["id"])
    assert body == KINDS["jpg"]
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''a.jpg"
    for answer in (await get(http, "preview", job=job["id"]), await get(http, "original", job=job["id"])):
        assert answer[0]["X-Content-Type-Options"] == "nosniff"
        assert answer[0]["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.e2e
async def test_preview_has_two_sizes(stopped, http):
    wide = io.BytesIO()
    Image.new("RGB", (4000, 1000)).save(wide, "PNG")
    job = await job_of(stopped, "a.png", wide.getvalue())
    for size, width in ((None, 320), (320, 320), (1600, 1600)):
        _, body = await get(http, "preview", job=job["id"], **({"size": size} if size else {}))
        assert Image.open(io.BytesIO(body)).size == (width, width // 4)


@pytest.mark.e2e
async def test_preview_etag_changes_with_file(stopped, http):
    job = await job_of(stopped, "a.jpg", KINDS["jpg"])
    headers, _ = await get(http, "preview", job=job["id"])
    assert headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": f'"other", W/{headers["ETag"]}'}
    same, body = await get(http, "preview", job=job["id"], headers=known, status=304)
    assert (same["ETag"], body) == (headers["ETag"], b"")
    await get(http, "preview", job=job["id"], size=1600, headers=known)
    (stopped.inbox / "a.jpg").write_bytes(KINDS["png"])
    changed, _ = await get(http, "preview", job=job["id"], headers=known)
    assert changed["ETag"] != headers["ETag"]


@pytest.mark.e2e
async def test_preview_cache_survives_restart(harness, http):
    await harness.start()
    job = await job_of(harness, "a.jpg", KINDS["jpg"], states=("done",))
    _, body = await get(http, "preview", job=job["id"])
    assert harness.daemon.files._previews._renderer.pid
    await harness.stop()
    await harness.start()
    assert (await get(http, "preview", job=job["id"]))[1] == body
    assert harness.daemon.files._previews._renderer.pid is None
    assert (harness.folder / "state" / "previews").stat().st_mode & 0o777 == 0o700


async def test_preview_of_text_is_text(stopped, http):
    job = await job_of(stopped, "art.TXT", "\u2588\u2584".encode() + b"\xff<script>" + bytes(100_000))
    headers, body = await get(http, "preview", job=job["id"])
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body.decode().startswith("\u2588\u2584\ufffd<script>")
    assert len(body) < 70_000
    headers, body = await get(http, "original", job=job["id"])
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''art.TXT"
    assert len(body) == 100_000 + 15


@pytest.mark.e2e
@pytest.mark.parametrize("name", HARMFUL)
async def test_preview_unavailable_gives_reason(stopped, http, name):
    job = await job_of(stopped, "a.jpg", HARMFUL[name])
    assert (await rejection(http, "preview", job)).startswith("a.jpg: ")
    assert (await get(http, "original", job=job["id"]))[1] == HARMFUL[name]


async def test_original_svg_cannot_run_scripts(stopped, http):
    job = await job_of(stopped, "a.svg", HARMFUL["a drawing"])
    headers, _ = await get(http, "original", job=job["id"])
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


async def test_local_files_any_name_is_served(stopped, http):
    name = 'q\udcff "\n;.jpg'
    job = await job_of(stopped, f"below/{name}", KINDS["jpg"])
    assert (job["name"], job["present"]) == ('below/q\\xff "\\n;.jpg', True)
    headers, body = await get(http, "original", job=job["id"])
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''q%EF%BF%BD%20%22%0A%3B.jpg"
    assert body == KINDS["jpg"]


@pytest.mark.parametrize(
    ("instead", "why"),
    [
        (lambda *_: None, "the file is gone"),
        (lambda path, _: os.mkfifo(path), "not a regular file"),
        (Path.symlink_to, "not a regular file"),
        (lambda path, _: path.mkdir(), "not a regular file"),
    ],
)
async def test_local_files_replaced_file_is_not_opened(stopped, http, instead, why):
    job = await job_of(stopped, "a.jpg", KINDS["jpg"])
    secret = stopped.folder / "secret.jpg"
    secret.write_bytes(KINDS["jpg"])
    (stopped.inbox / "a.jpg").unlink()
    instead(stopped.inbox / "a.jpg", secret)
    for what in ("preview", "original"):
        assert await rejection(http, what, job) == f"a.jpg: {why}"


async def test_local_files_linked_folder_is_not_followed(stopped, http):
    job = await job_of(stopped, "below/a.jpg", KINDS["jpg"])
    (stopped.inbox / "below").rename(stopped.folder / "elsewhere")
    (stopped.inbox / "below").symlink_to(stopped.folder / "elsewhere")
    for what in ("preview", "original"):
        assert "below/a.jpg: " in await rejection(http, what, job)


async def test_local_files_unwatched_folder_is_rejected(stopped, http):
    job = await job_of(stopped, "a.jpg", KINDS["jpg"])
    (stopped.folder / "other").mkdir()
    stopped.settings["folders"][0]["path"] = "other"
    await stopped.reload()
    assert "is not watched any more" in await rejection(http, "preview", job)


@pytest.mark.e2e
async def test_local_files_moved_file_is_found(harness, http):
    harness.settings["folders"][0]["after_upload"] = {"move": "sent"}
    await harness.start()
    job = await job_of(harness, "below/a.jpg", KINDS["jpg"], states=("done",))
    await wait_until((harness.folder / "sent" / "below" / "a.jpg").exists)
    await wait_until(lambda: not (harness.inbox / "below" / "a.jpg").exists())
    assert (await get(http, "original", job=job["id"]))[1] == KINDS["jpg"]
    assert (await get(http, "preview", job=job["id"]))[0]["Content-Type"] == "image/webp"
    (harness.folder / "sent" / "below" / "a.jpg").write_bytes(KINDS["png"])
    assert "another has its name" in await rejection(http, "preview", job)


async def test_local_files_deleted_file_gives_reason(harness, http):
    harness.settings["folders"][0]["after_upload"] = "delete"
    await harness.start()
    job = await job_of(harness, "a.jpg", KINDS["jpg"], states=("done",))

    async def known_as_gone():
        return not (await harness.show("a.jpg"))[0]["present"]

    await wait_until(known_as_gone)
    assert "after_upload deletes" in await rejection(http, "preview", job)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("preview", 400),
        ("preview?job=x", 400),
        ("preview?job=file:///a.jpg", 400),
        ("preview?job=4711", 404),
        ("preview?job=1&size=321", 400),
        ("original?job=1&size=320", 400),
        ("original?job=4711", 404),
    ],
)
async def test_local_files_invalid_request_is_rejected(stopped, http, what, status):
    await get(http, what, status=status)


@pytest.mark.parametrize("what", ["preview", "original"])
async def test_missing_content_is_204_on_request(stopped, http, what):
    assert (await get(http, f"{what}?job=4711&missing=204", status=204))[1] == b""


async def test_original_large_file_is_complete_or_aborted(stopped, http):
    data = random_bytes(8 * 1024 * 1024)
    job = await job_of(stopped, "a.tif", data)
    assert (await get(http, "original", job=job["id"]))[1] == data
    async with http.get("/v1/original", params={"job": job["id"]}) as answer:
        os.truncate(stopped.inbox / "a.tif", 1000)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
