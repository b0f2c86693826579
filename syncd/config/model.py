"""The whole configuration as frozen values: every key, its type and its default.

Times are seconds, sizes bytes, rates bytes a second, paths absolute. :mod:`syncd.config.checks` compares sections with
each other, :mod:`syncd.config.tokens` reads the tokens.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WrapSerializer,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from syncd.config import paths
from syncd.config.bandwidth import Bandwidth, BandwidthForms, Span, parse_bandwidth
from syncd.config.notify import Notify
from syncd.config.remote_values import RemoteName
from syncd.config.remotes import AnyRemote, ImageRemote, MultipartRemote
from syncd.config.section import Section
from syncd.config.units import parse_size
from syncd.config.values import (
    DURATION,
    SIZE,
    AbsolutePath,
    File,
    Group,
    NotEmpty,
    Off,
    Pattern,
    duration,
    is_loopback,
    is_off,
    one_or_several,
    size,
    word,
)
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
    "Notify",
    "Retry",
    "Scheduler",
    "Span",
]

_IMAGES = "jpg jpeg jpe jfif png apng gif webp avif heic heif tif tiff bmp svg jxl jp2 ico psd"
_CAMERA_RAWS = "dng cr2 cr3 nef arw orf rw2 raf pef srw"
DEFAULT_INCLUDE = tuple(f"*.{suffix}" for suffix in f"{_IMAGES} {_CAMERA_RAWS} txt".split())


class AfterUpload(Section):
    """The action on a local file after every remote of its folder has confirmed the upload."""

    action: Literal["keep", "delete", "move"]
    directory: AbsolutePath | None = Field(default=None, alias="move")
    """The folder that `move` moves files to; None for the other actions."""

    @model_serializer(when_used="json")
    def _serialized(self) -> Any:
        return self.action if self.directory is None else {"move": printable(self.directory)}


class _Move(TypedDict):
    """The form of `after_upload` in the file that moves files."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc] # pydantic's name for it

    move: str


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
        NotEmpty(),
        Field(alias="remote", description="the name of a remote, or a list of names"),
    ]
    include: Annotated[tuple[Pattern, ...], NotEmpty()] = DEFAULT_INCLUDE
    exclude: tuple[Pattern, ...] = ()
    recursive: bool = True
    follow_symlinks: bool = False
    watch: Annotated[Literal["auto", "native", "poll"], word()] = "auto"
    settle: Annotated[float, duration(0, 3600), DURATION] = 2.0
    rescan: Annotated[float, duration(1, 7 * 86_400), DURATION] = 600.0
    max_size: Annotated[int, size(1, parse_size("100TiB")), SIZE] = parse_size("10GiB")
    after_upload: Annotated[
        AfterUpload, BeforeValidator(_after_upload, json_schema_input_type=Literal["keep", "delete"] | _Move)
    ] = AfterUpload(action="keep")

    @field_validator("remotes")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))


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
    """Concurrency, bandwidth and retry settings."""

    concurrency: Annotated[
        Annotated[int, Field(ge=1, le=256)] | None,
        BeforeValidator(
            lambda value: None if value == "auto" else value,
            json_schema_input_type=Literal["auto"] | Annotated[int, Field(ge=1, le=256)],
        ),
        PlainSerializer(lambda value: value or "auto", when_used="json"),
    ] = None
    """Requests in flight; None adapts to the server."""
    bandwidth: Annotated[Bandwidth, BeforeValidator(parse_bandwidth, json_schema_input_type=BandwidthForms)] = (
        Bandwidth()
    )
    retry: Retry = Retry()
    order: Annotated[Literal["fair", "newest", "oldest"], word()] = "fair"
    """The order in which queued files are uploaded."""


class Address(Section):
    """The host and port on which a TCP server listens."""

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]

    @model_serializer(when_used="json")
    def _serialized(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: Any) -> Any:
    if value is None or isinstance(value, Address):
        return value
    if is_off(value):
        return None
    named, _, port = str(value).rpartition(":")
    if not port.isascii() or not port.isdigit() or not named or any(c in named for c in "/@ "):
        raise ValueError("must be host:port, such as 127.0.0.1:8765, or off")
    host = "127.0.0.1" if named == "localhost" else named.removeprefix("[").removesuffix("]")
    if not is_loopback(host):
        raise ValueError("must be a local address, such as 127.0.0.1 or [::1] — from another machine, use ssh -L")
    return {"host": host, "port": port}


class Control(Section):
    """The control socket and the dashboard."""

    model_config = ConfigDict(json_schema_extra={"required": []})  # Config fills in the socket

    socket: Annotated[File, Field(validate_default=True)]
    group: Group | None = None
    """Group whose members may use the socket; None for only the daemon's user and root."""
    dashboard: Annotated[
        Address | None,
        BeforeValidator(_address, json_schema_input_type=Off | Annotated[str, Field(pattern=r"^[^/@ ]+:[0-9]+$")]),
        WrapSerializer(lambda value, write: "off" if value is None else write(value), when_used="json"),
    ] = Address(host="127.0.0.1", port=8765)
    """Loopback address on which the dashboard listens; None if the dashboard is off."""

    @field_validator("socket")
    @classmethod
    def _fits_an_address(cls, socket: Path) -> Path:
        return paths.check_socket(socket)


class LogFile(Section):
    """A log file that is rotated at `max_size` bytes; the last `keep` rotated files are kept."""

    path: File
    max_size: Annotated[int, size(parse_size("4KiB"), parse_size("100GiB")), SIZE] = parse_size("10MiB")
    keep: Annotated[int, Field(ge=0, le=1000)] = 5


class Logging(Section):
    """The log: its level and format, its lines about files, and a log file.

    The log file is in addition to standard error.
    """

    level: Annotated[Literal["debug", "info", "warning", "error"], word()] = "info"
    format: Annotated[Literal["auto", "console", "json"], word()] = "auto"
    each_file: bool = False
    """Whether the files of a backlog are logged one by one at info."""
    file: Annotated[
        LogFile | None,
        BeforeValidator(
            lambda value: {"path": value} if isinstance(value, str) else value, json_schema_input_type=str | LogFile
        ),
    ] = None


_StorePath = Annotated[str, Field(pattern="^(sqlite:///.+|(?!.*://).+)$")]


def _store(value: Any) -> Any:
    if not isinstance(value, str) or "://" not in value:
        return value
    scheme, _, path = value.partition(":///")
    if scheme != "sqlite" or not path:
        raise ValueError("only SQLite is supported so far — write a path or sqlite:///PATH")
    return path


class Config(Section):
    """A whole configuration file.

    Validate with `context={"base": folder of the file, "file": path of the file}`.
    """

    model_config = ConfigDict(json_schema_extra={"required": ["folders", "remotes"]})  # the others are filled in

    folders: Annotated[
        tuple[Folder, ...],
        NotEmpty(),
        Field(description="the folders to watch, each with path and remote"),
    ]
    remotes: Annotated[
        dict[RemoteName, AnyRemote],
        NotEmpty(),
        Field(description="the servers to upload to, each by a name"),
    ]
    scheduler: Scheduler = Scheduler()
    state_dir: File
    store: Annotated[File, BeforeValidator(_store, json_schema_input_type=_StorePath)]
    control: Control
    logging: Logging = Logging()
    notify: Notify = Notify()

    def secrets(self) -> frozenset[str]:
        """Return every secret, and the parts of secrets that a log must mask too."""
        sections = (*self.remotes.values(), self.notify)
        return frozenset(secret for section in sections for secret in section.secrets())

    @model_validator(mode="before")
    @classmethod
    def _default_paths(cls, data: Any, info: ValidationInfo) -> Any:
        """Fill in the default paths, which depend on the platform and on each other."""
        if not isinstance(data, Mapping):
            return data
        context = info.context if isinstance(info.context, Mapping) else {"base": Path.cwd()}
        given, file = _resolved(data.get("state_dir"), context["base"]), context.get("file")
        state_dir = given or paths.state_dir(file)
        defaults = {"state_dir": state_dir, "store": state_dir / "syncd.db"}
        control = data.get("control", {})
        if isinstance(control, Mapping) and control.get("socket") is None:
            control = {**control, "socket": paths.control_socket(given, file)}
        return {**defaults, **data, "control": control}


def _resolved(given: Any, base: Path) -> Path | None:
    """Return the given folder; None without one, or if the field itself reports it as invalid."""
    try:
        return Path(paths.resolve(os.fspath(given), base)) if isinstance(given, str | Path) else None
    except ValueError:
        return None
