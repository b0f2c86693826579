"""The configuration as a person may see it, and the limits that one may change while the daemon runs."""

import dataclasses

from pydantic import ValidationError

from syncd.config.load import Loaded
from syncd.config.model import Scheduler
from syncd.control import service as api
from syncd.control import shapes
from syncd.core.text import printable


def document(loaded: Loaded, limits: Scheduler) -> shapes.Settings:
    """Return what the file says, without its secrets, and the ``limits`` that hold."""
    written = limits.model_dump(mode="json", by_alias=True)
    timetable = isinstance(written["bandwidth"], list)
    return {
        "file": printable(str(loaded.path)),
        "settings": loaded.config.model_dump(mode="json", by_alias=True),
        "live": {
            "bandwidth": "by timetable" if timetable else written["bandwidth"],
            "concurrency": written["concurrency"],
            "changed": [key for key in written if getattr(limits, key) != getattr(loaded.config.scheduler, key)],
        },
    }


def adjusted(limits: Scheduler, wanted: api.Limits) -> Scheduler:
    """Return ``limits`` with what is ``wanted``, read as in the file; ``InvalidRequestError`` if that can't be."""
    given = {key: value for key, value in dataclasses.asdict(wanted).items() if value is not None}
    try:
        return Scheduler.model_validate({**dict(iter(limits)), **given})
    except ValidationError as error:
        (problem, *_) = error.errors(include_input=False)
        raise api.InvalidRequestError(f"{problem['loc'][0]}: {problem['msg']}") from None
