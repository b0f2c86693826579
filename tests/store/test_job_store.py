from sqlalchemy import event

from syncd.core.model import Stored
from syncd.core.states import Outcome
from syncd.store.job_store import ChangeBus
from tests.store.support import claim, observe, seen


def test_change_bus_calls_listeners_in_order():
    bus, called = ChangeBus(), []
    second, first, last = (lambda _, name=name: called.append(name) for name in ("second", "first", "last"))
    bus.subscribe(last)
    bus.subscribe(second, order=2)
    bus.subscribe(first, order=1)
    bus.publish(None)
    assert called == ["first", "second", "last"]
    bus.unsubscribe(second)
    bus.publish(None)
    assert called[3:] == ["first", "last"]


async def test_only_results_wait_for_disk(store):
    """A start finds files and ends claims anyway; nothing repeats a result."""
    remote = (await store.register_remote("drive", "multipart http://drive")).id
    levels = []
    event.listen(
        store.database.engine,
        "commit",
        lambda connection: levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar()),
    )
    await observe(store, remote, seen("a.jpg"))
    (job,) = await claim(store, remote)
    await store.renew("tests", 60.0)
    assert set(levels) == {1}
    levels.clear()
    await store.finish(job, key="k", stored=Stored(ref="r"), outcome=Outcome.UPLOADED)
    assert levels == [2]
