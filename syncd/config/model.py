"""The whole configuration as frozen values: every key, its type, its default.

Times are seconds, sizes bytes, rates bytes a second, paths absolute. What one section says about another is
checked in `syncd.config.checks`, where tokens come from in `syncd.config.tokens`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WrapSerializer,
    field_validator,
    model_serializer,
    model_validator,
)

from syncd.config import paths
from syncd.config.remotes import AnyRemote, ImageRemote, MultipartRemote
from syncd.config.section import Section
from syncd.config.units import format_rate, parse_size
from syncd.config.values import (
    MINUTES_A_DAY,
    AbsolutePath,
    File,
    Group,
    Limit,
    Minute,
    Pattern,
    RemoteName,
    duration,
    is_loopback,
    is_off,
    limit,
    not_empty,
    one_or_several,
    size,
    word,
)
from syncd.config.written import DURATION, SIZE
from syncd.core.text import printable

__all__ = [
    "Address",
    "AfterUpload",
    "Bandwidth",
    "Config",
    "Control",
    "Folder",
    "ImageRemote",
    "LogFile",
    "Logging",
    "MultipartRemote",
    "Retry",
    "Scheduler",
    "Span",
]

_IMAGES = "jpg jpeg jpe jfif png apng gif webp avif heic heif tif tiff bmp svg jxl jp2 ico psd"
_CAMERA_RAWS = "dng cr2 cr3 nef arw orf rw2 raf pef srw"
DEFAULT_INCLUDE = tuple(f"*.{suffix}" for suffix in f"{_IMAGES} {_CAMERA_RAWS} txt".split())


class AfterUpload(Section):
    """What becomes of a local file whose upload was confirmed by every remote of its folder."""

    action: Literal["keep", "delete", "move"]
    directory: AbsolutePath | None = Field(default=None, alias="move")
    """Where `move` moves to; None for the others."""

    @model_serializer(when_used="json")
    def _written(self) -> Any:
        return self.action if self.directory is None else {"move": printable(self.directory)}


def _after_upload(value: Any) -> Any:
    if isinstance(value, AfterUpload):
        return value
    if value in ("keep", "delete"):
        return {"action": value}
    if isinstance(value, Mapping) and list(value) == ["move"]:
        return {"action": "move", **value}
    raise ValueError("must be keep, delete or {move: DIR}")


class Folder(Section):
    """A watched folder and the remotes that its files go to."""

    path: Annotated[AbsolutePath, Field(description="the folder to watch")]
    remotes: Annotated[
        tuple[str, ...],
        one_or_several(),
        AfterValidator(not_empty),
        Field(alias="remote", description="the name of a remote, or a list of names"),
    ]
    include: Annotated[tuple[Pattern, ...], AfterValidator(not_empty)] = DEFAULT_INCLUDE
    exclude: tuple[Pattern, ...] = ()
    recursive: bool = True
    follow_symlinks: bool = False
    watch: Annotated[Literal["auto", "native", "poll"], word()] = "auto"
    settle: Annotated[float, duration(0, 3600), DURATION] = 2.0
    rescan: Annotated[float, duration(1, 7 * 86_400), DURATION] = 600.0
    max_size: Annotated[int, size(1, parse_size("100TiB")), SIZE] = parse_size("10GiB")
    after_upload: Annotated[AfterUpload, BeforeValidator(_after_upload)] = AfterUpload(action="keep")

    @field_validator("remotes")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))


class Span(Section):
    """A part of every day, in local time: `start_minute <= minute < end_minute`."""

    start_minute: Annotated[Minute, Field(alias="from")]
    end_minute: Annotated[Minute, Field(alias="to")]
    limit: Limit
    """Bytes a second; None is unlimited, 0 means that nothing is sent."""


class Bandwidth(Section):
    """What may be sent when. The first span that a minute lies in rules it; outside of all there is no limit."""

    spans: tuple[Span, ...] = ()

    @field_validator("spans")
    @classmethod
    def _split_at_midnight(cls, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        return tuple(part for span in spans for part in _within_a_day(span))

    @model_serializer(when_used="json")
    def _written(self) -> Any:
        """Return the one limit for all day, or the timetable."""
        match self.spans:
            case ():
                return "unlimited"
            case (Span(start_minute=0, end_minute=end, limit=float(rate)),) if end == MINUTES_A_DAY:
                return format_rate(rate)
        return [span.model_dump(mode="json", by_alias=True) for span in self.spans]


def _within_a_day(span: Span) -> tuple[Span, ...]:
    if span.start_minute < span.end_minute:
        return (span,)
    evening = span.model_copy(update={"end_minute": MINUTES_A_DAY})
    morning = span.model_copy(update={"start_minute": 0})
    return tuple(part for part in (evening, morning) if part.start_minute < part.end_minute)


def _bandwidth(value: Any) -> Any:
    if isinstance(value, Bandwidth):
        return value
    if isinstance(value, list | tuple):
        return {"spans": value}
    if isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 — pydantic collects ValueError
            "must be unlimited, a rate as 2MiB/s, or a list of {from, to, limit}"
        )
    rate = limit(value)
    if rate == 0:
        raise ValueError("would never send anything — write unlimited, or pause with syncd ctl stop")
    return {"spans": [{"from": 0, "to": MINUTES_A_DAY, "limit": rate}] if rate is not None else []}


class Retry(Section):
    """Bounds of the exponential backoff, in seconds."""

    initial: Annotated[float, duration(0.01, 3600), DURATION] = 1.0
    max: Annotated[float, duration(0.01, 86_400), DURATION] = 300.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.initial:
            raise ValueError("max must not be shorter than initial")
        return self


class Scheduler(Section):
    """How hard the servers are worked."""

    concurrency: Annotated[
        Annotated[int, Field(ge=1, le=256)] | None,
        BeforeValidator(lambda value: None if value == "auto" else value),
        PlainSerializer(lambda value: value or "auto", when_used="json"),
    ] = None
    """Requests in flight; None adapts to the server."""
    bandwidth: Annotated[Bandwidth, BeforeValidator(_bandwidth)] = Bandwidth()
    retry: Retry = Retry()


class Address(Section):
    """Where a TCP server listens."""

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]

    @model_serializer(when_used="json")
    def _written(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: Any) -> Any:
    if value is None or isinstance(value, Address):
        return value
    if is_off(value):
        return None
    named, colon, port = str(value).rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not named or any(c in named for c in "/@ "):
        raise ValueError("must be host:port as 127.0.0.1:8765, or off")
    host = "127.0.0.1" if named == "localhost" else named.removeprefix("[").removesuffix("]")
    if not is_loopback(host):
        raise ValueError("must be an address of this machine alone, as 127.0.0.1 or [::1] — from afar, use ssh -L")
    return {"host": host, "port": port}


class Control(Section):
    """How the daemon is talked to."""

    socket: Annotated[File, Field(validate_default=True)]
    group: Group | None = None
    """Whose members may talk to it too; None for nobody but the daemon's user and root."""
    dashboard: Annotated[
        Address | None,
        BeforeValidator(_address),
        WrapSerializer(lambda value, write: "off" if value is None else write(value), when_used="json"),
    ] = Address(host="127.0.0.1", port=8765)
    """Where the dashboard listens, an address of this machine alone; None for nowhere."""

    @field_validator("socket")
    @classmethod
    def _fits_an_address(cls, socket: Path) -> Path:
        return paths.check_socket(socket)


class LogFile(Section):
    """A log file that is put aside at `max_size` bytes; `keep` old ones stay."""

    path: File
    max_size: Annotated[int, size(parse_size("4KiB"), parse_size("100GiB")), SIZE] = parse_size("10MiB")
    keep: Annotated[int, Field(ge=0, le=1000)] = 5


class Logging(Section):
    """What is logged, how and where besides standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], word()] = "info"
    format: Annotated[Literal["auto", "console", "json"], word()] = "auto"
    file: Annotated[
        LogFile | None,
        BeforeValidator(lambda value: {"path": value} if isinstance(value, str) else value),
    ] = None


def _store(value: Any) -> Any:
    if not isinstance(value, str) or "://" not in value:
        return value
    scheme, _, path = value.partition(":///")
    if scheme != "sqlite" or not path:
        raise ValueError("only SQLite is supported yet — write a path or sqlite:///PATH")
    return path


class Config(Section):
    """A whole configuration file. Validate with `context={"base": folder of the file, "file": its path}`."""

    folders: Annotated[
        tuple[Folder, ...],
        AfterValidator(not_empty),
        Field(description="the folders to watch, each with path and remote"),
    ]
    remotes: Annotated[
        dict[RemoteName, AnyRemote],
        AfterValidator(not_empty),
        Field(description="the servers to upload to, each by a name"),
    ]
    scheduler: Scheduler = Scheduler()
    state_dir: File
    store: Annotated[File, BeforeValidator(_store)]
    control: Control
    logging: Logging = Logging()

    def secrets(self) -> frozenset[str]:
        """Return every secret in it, and the parts of it that could stand alone: what a log must mask."""
        return frozenset(secret for remote in self.remotes.values() for secret in remote.secrets())

    @model_validator(mode="before")
    @classmethod
    def _places(cls, data: Any, info: ValidationInfo) -> Any:
        """Fill in the paths that depend on the platform and on each other."""
        if not isinstance(data, Mapping):
            return data
        context = info.context if isinstance(info.context, Mapping) else {"base": Path.cwd()}
        given, file = _resolved(data.get("state_dir"), context["base"]), context.get("file")
        state_dir = given or paths.state_dir(file)
        places = {"state_dir": state_dir, "store": state_dir / "syncd.db"}
        control = data.get("control", {})
        if isinstance(control, Mapping) and control.get("socket") is None:
            control = {**control, "socket": paths.control_socket(given, file)}
        return {**places, **data, "control": control}


def _resolved(given: Any, base: Path) -> Path | None:
    """Return the folder if one is given and right; what is wrong with it the field itself says."""
    try:
        return Path(paths.resolve(os.fspath(given), base)) if isinstance(given, str | Path) else None
    except ValueError:
        return None
