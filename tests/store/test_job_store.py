from syncd.store.job_store import ChangeBus


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
