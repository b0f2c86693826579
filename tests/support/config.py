"""Configurations: one folder, ``inbox``, that is uploaded to both APIs of one receiver.

A harness keeps the settings as a dict, which a test changes before it writes them.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.support.data import POOL

Settings = dict[str, Any]

FAST_RETRY = {"initial": "10ms", "max": "20ms"}
"""Retry delays that a test can wait for."""


def multipart_remote(url: str, **changes: Any) -> Settings:
    """Return the settings of a multipart remote, with ``changes`` applied."""
    return {"type": "multipart", "url": url, "pool_id": POOL, **changes}


def image_remote(url: str, **changes: Any) -> Settings:
    """Return the settings of an image remote, with ``changes`` applied."""
    return {"type": "image", "url": url, **changes}


def base_settings(url: str, **sections: Any) -> Settings:
    """Return settings that upload ``inbox`` to the remotes ``drive`` and ``ascii`` at ``url``.

    Paths count from the configuration's folder, the state folder is ``state``, retries are fast, each file has its log
    lines, and there is no dashboard. Each of ``sections`` replaces a whole section, such as ``scheduler={}`` for the
    default retry delays.
    """
    return {
        "folders": [{"path": "inbox", "remote": ["drive", "ascii"]}],
        "remotes": {"drive": multipart_remote(url), "ascii": image_remote(url)},
        "scheduler": {"retry": dict(FAST_RETRY)},
        "state_dir": "state",
        "control": {"dashboard": "off"},
        "logging": {"each_file": True},
        **sections,
    }


def write_settings(path: Path, settings: Settings) -> Path:
    """Write ``settings`` as YAML, keep their order, and return ``path``."""
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
