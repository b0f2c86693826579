"""The private parts of watchdog that `syncd.watch.inotify` uses exist in the release."""

import os
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("inotify exists on Linux only", allow_module_level=True)

from watchdog.observers.inotify_c import InotifyFD

from syncd.watch.inotify import Inotify


@pytest.mark.parametrize("name", ["add_callback", "handle_event", "_add_callback", "_get_or_create_watch"])
def test_inotify_overrides_and_calls_existing_methods(name):
    assert callable(getattr(InotifyFD, name))


def test_inotify_descriptor_is_open():
    queue = Inotify(descends_into=lambda path: True, on_events_lost=lambda *, overflow=False: None)
    os.close(queue.descriptor)
