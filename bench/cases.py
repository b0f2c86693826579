"""The cases of ``make bench``: what is sent, to which server, by whom, and which ratio is wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bench.clients import Client, bare, rclone, s5cmd, syncd

KIB, MIB = 1024, 1024 * 1024
NEVER = {"direct": "never"}
IMAGE = {"type": "image"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A wanted ratio of syncd to a peer in one run: of files per second if ``least``, of CPU per file otherwise."""

    peer: str
    least: float | None = None
    most_cpu: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """``count`` files of ``size`` bytes, sent by syncd and by its peers to a server with these flags."""

    name: str
    count: int
    size: int
    syncd: Client
    peers: dict[str, Client]
    server: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    line_rate: int | None = None
    """Bytes per second that the line lets through, if it limits."""
    check: Callable[[dict[str, int]], str] = field(default=lambda _: "")
    """Returns what the server's counters say about the case."""

    def scaled(self, factor: float) -> "Case":
        """Return the case with fewer files."""
        return replace(self, count=max(2, round(self.count * factor)))


FAR = ("-delay", "50ms")


def rejected(stats: dict[str, int]) -> str:
    later = stats["RequestsAfter5s"]
    share = stats["RejectedAfter5s"] / later if later else 0.0
    return f"{share:.1%} of {later} requests rejected after the first 5 s"


CASES = [
    Case(
        name="local, direct",
        count=5000,
        size=200 * KIB,
        syncd=syncd(),
        peers={
            "rclone 4": rclone(4),
            "rclone 32": rclone(32),
            "s5cmd": s5cmd(256),
            "bare": bare("direct", 16),
        },
        targets=(
            Target(peer="rclone 4", least=1.0, most_cpu=1.0),
            Target(peer="rclone 32", least=1.0),
            Target(peer="s5cmd", least=0.8),
            Target(peer="bare", least=0.7),
        ),
    ),
    Case(
        name="local, chunked",
        count=3000,
        size=200 * KIB,
        syncd=syncd(**NEVER),
        peers={"bare": bare("chunked", 16)},
        targets=(Target(peer="bare", least=0.8),),
    ),
    Case(
        name="50 ms away, direct",
        count=1000,
        size=200 * KIB,
        server=FAR,
        syncd=syncd(),
        peers={"rclone 4": rclone(4), "rclone 32": rclone(32), "s5cmd": s5cmd(256), "bare 64": bare("direct", 64)},
        targets=(
            Target(peer="rclone 32", least=2.0),
            Target(peer="rclone 4", least=15.0),
            Target(peer="s5cmd", least=0.6),
        ),
    ),
    Case(
        name="50 ms away, chunked",
        count=1000,
        size=200 * KIB,
        server=FAR,
        syncd=syncd(**NEVER),
        peers={"bare 64": bare("chunked", 64)},
        targets=(Target(peer="bare 64", least=0.9),),
    ),
    Case(
        name="100 Mbit/s and 50 ms",
        count=600,
        size=200 * KIB,
        server=(*FAR, "-rate", "12500000"),
        line_rate=12_500_000,
        syncd=syncd(),
        peers={"rclone 32": rclone(32)},
    ),
    Case(
        name="429 above 4 in flight",
        count=2000,
        size=200 * KIB,
        server=("-max-in-flight", "4", "-delay", "10ms"),
        syncd=syncd(),
        peers={f"fixed {number}": syncd(concurrency=number) for number in (2, 4)},
        targets=(Target(peer="fixed 2", least=0.9), Target(peer="fixed 4", least=0.9)),
        check=rejected,
    ),
    Case(
        name="latency doubles above 8",
        count=2000,
        size=200 * KIB,
        server=("-double-above", "8", "-delay", "10ms"),
        syncd=syncd(),
        peers={f"fixed {number}": syncd(concurrency=number) for number in (4, 8)},
        targets=(Target(peer="fixed 4", least=0.9), Target(peer="fixed 8", least=0.9)),
    ),
    Case(
        name="4 x 256 MiB",
        count=4,
        size=256 * MIB,
        syncd=syncd(),
        peers={"rclone 4": rclone(4)},
        targets=(Target(peer="rclone 4", least=1.0),),
    ),
    Case(
        name="image, chunks of 48 KiB",
        count=1000,
        size=200 * KIB,
        syncd=syncd(**IMAGE, chunk_size="48KiB"),
        peers={"bare": bare("image", 16, 48 * KIB)},
        targets=(Target(peer="bare", least=0.8),),
    ),
    Case(
        name="image, chunks of 256 KiB",
        count=1000,
        size=200 * KIB,
        syncd=syncd(**IMAGE, chunk_size="256KiB"),
        peers={"bare": bare("image", 16, 256 * KIB)},
        targets=(Target(peer="bare", least=0.8),),
    ),
    Case(
        name="20,000 x 1 KiB, direct",
        count=20000,
        size=KIB,
        syncd=syncd(),
        peers={"rclone 32": rclone(32), "s5cmd": s5cmd(256), "bare": bare("direct", 16)},
        targets=(Target(peer="rclone 32", least=0.5), Target(peer="s5cmd", least=0.35)),
    ),
]
