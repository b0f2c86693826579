"""The watched folders exclude the daemon's own files."""

from tests.support.data import random_bytes


async def test_folders_state_folder_inside_is_excluded(harness):
    harness.settings["folders"][0] |= {"path": ".", "exclude": ["received/"]}
    previews = harness.folder / "state" / "previews"
    previews.mkdir(parents=True)
    (previews / "a.webp").write_bytes(random_bytes(1000))
    await harness.start()
    (previews / "b.webp").write_bytes(random_bytes(2000))
    (harness.inbox / "state").mkdir()
    (harness.inbox / "state" / "c.webp").write_bytes(random_bytes(3000))  # another folder named state is not excluded
    await harness.wait_for_counts(done=1)
    assert [job["path"] for job in await harness.jobs()] == [str(harness.inbox / "state" / "c.webp")]
