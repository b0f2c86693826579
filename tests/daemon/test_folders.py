"""The watched folders exclude the daemon's own files."""

from tests.support.data import random_bytes


async def test_what_the_daemon_writes_for_itself_is_not_uploaded(site):
    site.settings["folders"][0] |= {"path": ".", "exclude": ["received/"]}
    previews = site.folder / "state" / "previews"
    previews.mkdir(parents=True)
    (previews / "a.webp").write_bytes(random_bytes(1000))
    await site.start()
    (previews / "b.webp").write_bytes(random_bytes(2000))
    (site.inbox / "state").mkdir()
    (site.inbox / "state" / "c.webp").write_bytes(random_bytes(3000))  # another of that name is a folder like any
    await site.wait_for_counts(done=1)
    assert [job["path"] for job in await site.jobs()] == [str(site.inbox / "state" / "c.webp")]
