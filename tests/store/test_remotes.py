from tests.store.support import observe, only_job, seen


async def test_register_remote_finds_it_by_identity(store):
    first = await store.register_remote("drive", "multipart http://a")
    await store.save_capabilities(first.id, {"chunk_limit": 10_000})
    again = await store.register_remote("renamed", "multipart http://a")
    assert (again.id, again.name, again.capabilities) == (first.id, "renamed", {"chunk_limit": 10_000})
    other = await store.register_remote("drive", "multipart http://b")
    assert other.id != first.id
    assert other.capabilities == {}


async def test_register_remote_keeps_the_name_in_old_jobs(store):
    old = await store.register_remote("drive", "a")
    await observe(store, old.id, seen("a"))
    await store.register_remote("drive", "b")
    assert (await only_job(store, "a")).remote == "drive"


async def test_settings_keep_the_last_value(store):
    assert await store.get_setting("stopped") is None
    await store.set_setting("stopped", "yes")
    await store.set_setting("stopped", "no")
    assert await store.get_setting("stopped") == "no"
