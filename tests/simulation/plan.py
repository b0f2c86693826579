"""Draws a plan from a seed: the properties of the world, and the steps with their times.

Each step has its own seed and picks its targets when its time comes, so a plan without some steps is still a plan.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import faults, operations
from tests.simulation.events import EventProperties
from tests.simulation.file_system import SECOND, FileSystemProperties
from tests.simulation.lies import LIES

TOKEN = "tkn-MARKED-5f1c9a"
HEADER = "hdr-MARKED-77aa02"
"""Secrets; no log, status or store may contain one."""
EXCLUDES: list[list[str]] = [[], ["*.png", "sub/"], ["/a.jpg", "b.*"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """An action at time ``at``, in seconds from the start."""

    at: float
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at:7.3f} s  {self.kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A schedule. ``gentle``: only files change, so no chunk may be sent twice."""

    seed: int
    steps: tuple[Step, ...]
    end: float
    gentle: bool
    event_properties: EventProperties
    rescan: float
    settle: float
    poll: bool
    roots: int
    remotes: tuple[str, ...]
    concurrency: int | None
    hash: str
    image_chunk: int
    multipart_chunk: int
    direct: bool
    retry_max: float
    memory: int
    after_upload: str
    """``keep``, ``delete`` or ``move``."""
    elsewhere: bool
    """Whether files are moved to another file system."""
    expires: bool
    """Whether the server drops uploaded files later."""
    file_system_properties: FileSystemProperties
    patient: bool
    """Whether the check at rest waits until files without leases may be deleted."""
    habit: str | None
    """The false answer that a server gives until all faults end."""

    def without(self, steps: set[Step]) -> "Plan":
        """Return the plan with only these steps."""
        return replace(self, steps=tuple(step for step in self.steps if step not in steps))


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    rng = random.Random(seed)
    gentle = rng.random() < 0.2
    event_properties, rescan = _event_properties(rng)
    file_system_properties = _file_system_properties(rng)
    end = rng.uniform(15, 60)
    weights = _weights(rng, file_system_properties, gentle=gentle, announced=rescan > 1000)
    kinds = rng.choices(list(weights), list(weights.values()), k=rng.randint(6, 40))
    times = sorted(rng.uniform(0, end) for _ in kinds)
    return Plan(
        seed=seed,
        steps=tuple(Step(at=at, kind=kind, seed=rng.getrandbits(32)) for at, kind in zip(times, kinds, strict=True)),
        end=end,
        gentle=gentle,
        event_properties=event_properties,
        rescan=rescan,
        settle=rng.choice([0.2, 1.0, 2.0]),
        poll=rng.random() < 0.1,
        roots=rng.choice([1, 1, 2]),
        remotes=rng.choice([("drive",), ("ascii",), ("drive", "ascii"), ("drive", "ascii")]),
        concurrency=rng.choice([1, 2, 3, 6, None]),
        hash=rng.choice(["sha256", "sha256", "md5"]),
        image_chunk=rng.choice([400, 1500, 4096, 20000]),
        multipart_chunk=rng.choice([1024, 3000, 16384]),
        direct=rng.random() < 0.6,
        retry_max=rng.choice([5.0, 20.0]),
        memory=rng.choice([0, 0, 2000, 10**6]),
        after_upload=rng.choice(["keep", "keep", "delete", "move"]),
        elsewhere=rng.random() < 0.5,
        expires=rng.random() < 0.2,
        file_system_properties=file_system_properties,
        patient=rng.random() < (0.1 if file_system_properties.leases else 0.5),
        habit=rng.choice(list(LIES)) if not gentle and rng.random() < 0.4 else None,
    )


def _file_system_properties(rng: random.Random) -> FileSystemProperties:
    """Return the properties of the file systems."""
    return FileSystemProperties(
        reuses=rng.random() < 0.5,
        granularity=rng.choice([1, 1, SECOND, 2 * SECOND]),
        births=rng.random() < 0.6,
        leases=rng.random() < 0.85,
        exclusive_rename=rng.random() < 0.7,
    )


def _event_properties(rng: random.Random) -> tuple[EventProperties, float]:
    """Return the properties of the events, and the interval of scans, which find lost changes."""
    lossy = rng.random() < 0.4
    event_properties = EventProperties(
        latest=rng.choice([0.001, 0.05, 0.5, 3.0]),
        twice=rng.choice([0.0, 0.0, 0.2]),
        disordered=rng.random() < 0.3,
        silent=rng.choice([0.1, 0.5, 1.0]) if lossy else 0.0,
    )
    return event_properties, rng.choice([10.0, 45.0]) if lossy or rng.random() < 0.3 else 86_400.0


def _weights(
    rng: random.Random, file_system_properties: FileSystemProperties, *, gentle: bool, announced: bool
) -> dict[str, float]:
    """Return the weight of each kind of step; the weights differ between schedules."""
    weights: dict[str, float] = {f"file {name}": weight for name, (_, weight) in operations.OPERATIONS.items()}
    weights |= {"stop": 1, "start": 2, "rescan": 1, "clock": 2, "meddle": 3, "overflow": 1, "retry": 0.5}
    weights |= {"shutdown": 1.5, "reload": 1.5, "reload folders": 1.5, "meddle at removals": 3, "unmount target": 0.7}
    if announced:  # only a scan finds these changes
        del weights["file link"]
    if announced or not file_system_properties.leases:
        del weights["file map_writable"]
    if not gentle:
        factor = rng.choice([0.3, 1.0, 2.0])
        weights |= {f"fault {kind}": factor for kind in faults.KINDS}
        others = {"foreign": 3, "restart": 1.5, "sessions lost": 1.5, "merge fails": 0.7, "refuse connections": 1.5}
        others |= {"ignore connections": 0.7, "token refused": 0.7, "disk full": 1.5, "cancel": 0.7}
        others |= {"kill": 3, "stop now": 1, "server loses": 2}
        weights |= {kind: weight * factor for kind, weight in others.items()}
    for kind in list(weights):
        weights[kind] *= rng.choice([0.3, 1.0, 1.0, 3.0])
    return weights


def settings(
    plan: Plan,
    roots: list[str],
    directory: str,
    target: str,
    changes: Mapping[str, Any],
    folder_changes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the configuration file of a plan, with changes for all remotes and folders."""
    common = {"headers": {"X-Marked": HEADER}, "timeout": "5s", **changes}
    remotes = {
        "drive": {
            "type": "multipart",
            "url": "http://localhost:1001",
            "token": TOKEN,
            "pool_id": "00000000-0000-0000-0000-000000000000",
            "hash": plan.hash,
            "chunk_size": plan.multipart_chunk,
            "direct": "auto" if plan.direct else "never",
            **({"expired_at": "30d"} if plan.expires else {}),
            **common,
        },
        "ascii": {"type": "image", "url": "http://localhost:1002", "chunk_size": plan.image_chunk, **common},
    }
    folder = {
        "remote": list(plan.remotes),
        "include": ["*.jpg", "*.txt", "*.png"],
        "exclude": [],
        "recursive": True,
        "settle": f"{plan.settle}s",
        "rescan": f"{plan.rescan}s",
        "max_size": 60_000,
        "watch": "poll" if plan.poll else "native",
        "after_upload": {"move": target} if plan.after_upload == "move" else plan.after_upload,
        **folder_changes,
    }
    return {
        "folders": [{"path": root, **folder} for root in roots],
        "remotes": {name: remotes[name] for name in folder["remote"]},
        "scheduler": {
            "concurrency": plan.concurrency or "auto",
            "retry": {"initial": "1s", "max": f"{plan.retry_max}s"},
        },
        "state_dir": directory,
        "control": {"dashboard": "off"},
    }
