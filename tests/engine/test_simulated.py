"""What the simulation of the whole engine found, each in as few steps as show it."""

import os

from tests.engine.fakes import Bench
from tests.engine.test_lane import in_simulation


@in_simulation
async def test_a_twin_may_have_any_name(tmp_path):
    async with Bench(tmp_path) as bench:
        data = os.urandom(50_000)
        names = [bench.write(os.fsdecode(name), data) for name in (b"\xff\n.jpg", b"\xfe.jpg")]
        await bench.queue(*names)
        await bench.settle(done=2)
        details = [step.detail for name in names for step in await bench.store.history((await bench.job(name)).id)]
        assert any(r"as \xff\n.jpg" in (detail or "") for detail in details)
