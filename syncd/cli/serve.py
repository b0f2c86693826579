"""``syncd serve``: the receiver, a server for both upload APIs."""

import asyncio
import errno
import os
import re
from pathlib import Path

import click

from syncd import logs
from syncd.cli.errors import Exit, Fault
from syncd.cli.options import examples
from syncd.config import paths
from syncd.config.errors import NoHomeError
from syncd.config.units import parse_size
from syncd.platform import signals
from syncd.receiver.errors import ReceiverBusy
from syncd.receiver.hosts import is_loopback
from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from syncd.receiver.space import usual_reserve

TOKEN = "SYNCD_SERVE_TOKEN"  # noqa: S105 - a variable's name
_HOST = re.compile(r"[^\s:/\[\]]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")
_TAKEN = {errno.EADDRINUSE: "it is in use", errno.EADDRNOTAVAIL: "this machine has no such address"}


class _Size(click.ParamType[int]):
    """A size as ``10GiB``; whole bytes when converted."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


def _host_name(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name):
            raise click.BadParameter(f"{name}: give a name or an address, without http:// and without a port")
    return names


@click.command(epilog=examples("syncd serve", "syncd serve --dir /srv/photos --port 8080 --token-file token"))
@click.option("--dir", "folder", metavar="DIR", help="Where files are stored. Default: received in the state folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65_535), default=4444, show_default=True, help="0: any free port.")
@click.option("--token", help=f"Ask for this bearer token. It shows in the process list: rather ${TOKEN}.")
@click.option("--token-file", metavar="FILE", help="A file that holds the token and nothing else.")
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    callback=_host_name,
    help="A name that it goes by, for programs that come without a token; may be given again.",
)
@click.option("--quota", metavar="SIZE", type=_Size(), help="Store this much at most, as 500GiB. Default: no limit.")
@click.option(
    "--reserve",
    metavar="SIZE",
    type=_Size(),
    help="Leave this much of the disk free. Default: 1GiB, or 5% of the disk where that is less.",
)
def command(  # noqa: PLR0917 - click passes them by name
    folder: str | None,
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    allow_host: tuple[str, ...],
    quota: int | None,
    reserve: int | None,
) -> None:
    """Be the other end: a server for both upload APIs, storing files in DIR.

    What would exceed the quota, or use the reserve, is refused with 507. Without a token it answers to its own names
    only, and not to what pages of other sites send.
    """
    if quota == 0:
        raise click.UsageError("--quota 0: nothing could be stored; leave it out for no limit")
    secret = _token(token, token_file)
    logs.configure(secrets=[secret] if secret else [])
    if not secret and not is_loopback(host):
        click.echo(f"syncd: {host}: whoever can reach this address can store files: give --token-file", err=True)
    folder = os.path.abspath(folder or _usual_folder())
    try:
        reserve = usual_reserve(folder) if reserve is None else reserve
        settings = Settings(folder=folder, token=secret, allowed_hosts=allow_host, quota=quota, reserve=reserve)
        asyncio.run(_serve(settings, host, port))
    except ReceiverBusy as error:
        raise Fault(f"{error}: end it, or give another --dir", code=Exit.BUSY) from None
    except OSError as error:
        if error.errno in _TAKEN:
            advice = f"can't listen at {host} port {port}: {_TAKEN[error.errno]}; choose another: --host, --port"
            raise Fault(advice, code=Exit.UNAVAILABLE) from None
        raise
    finally:
        logs.close()


def _usual_folder() -> Path:
    try:
        return paths.state_dir() / "received"
    except NoHomeError:
        raise Fault("this user has no home folder to store in: give --dir, or set HOME", code=Exit.BAD_CONFIG) from None


async def _serve(settings: Settings, host: str, port: int) -> None:
    stop = asyncio.Event()
    with signals.calling(dict.fromkeys(signals.END, stop.set)):
        await serve(settings, host=host, port=port, ready=lambda url: _ready(url, settings.folder), stop=stop)


def _ready(url: str, folder: str) -> None:
    click.echo(f"{url} stores in {folder}")


def _token(token: str | None, token_file: str | None) -> str | None:
    if token and token_file:
        raise click.UsageError("give only one of --token and --token-file")
    if token:
        click.echo(f"syncd: --token shows in the process list: rather --token-file or ${TOKEN}", err=True)
        return token
    if token_file:
        try:
            with open(token_file, encoding="utf-8") as file:
                token = file.read(65_536).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
            raise Fault(f"--token-file {token_file}: {reason}", code=Exit.BAD_CONFIG) from None
        if not token:
            raise Fault(f"--token-file {token_file}: it is empty", code=Exit.BAD_CONFIG)
        return token
    return os.environ.get(TOKEN) or None
