"""Reads what the store has recorded of one content."""

from syncd.store.records import ContentQuery


async def session_of(store, remote_id, key):
    """Return the session of a content with its acknowledged chunks, or None."""
    return (await _records(store, remote_id, key)).session


async def stored_content(store, remote_id, key):
    """Return the record of a content on a remote, or None without a record."""
    return (await _records(store, remote_id, key)).stored


async def _records(store, remote_id, key):
    return await store.content_records(ContentQuery(remote_id=remote_id, key=key, sha256=None))
