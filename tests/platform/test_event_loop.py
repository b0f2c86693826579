import asyncio
import importlib
import sys

import pytest

from syncd.platform import event_loop


async def loop_module():
    return type(asyncio.get_running_loop()).__module__


@pytest.mark.unix
def test_run_uses_uvloop():
    assert event_loop.run(loop_module()).partition(".")[0] == "uvloop"


@pytest.mark.unix
async def test_tests_run_in_the_same_loop():
    assert (await loop_module()).partition(".")[0] == "uvloop"


def test_run_passes_exception_on():
    async def fail():
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        event_loop.run(fail())


def test_run_without_uvloop_uses_asyncio(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "uvloop", None)
        importlib.reload(event_loop)
        assert event_loop.run(loop_module()).partition(".")[0] == "asyncio"
    importlib.reload(event_loop)
