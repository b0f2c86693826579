"""``syncd serve``: runs ``syncd.receiver``, a server for both upload APIs."""

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import click

from syncd import logs
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import examples
from syncd.config import paths
from syncd.config.errors import NoHomeError
from syncd.config.units import parse_size
from syncd.platform import event_loop, signals
from syncd.platform.systemd import notify
from syncd.receiver.check import Result, check_receiver
from syncd.receiver.errors import FolderInUseError, TlsFilesError
from syncd.receiver.hosts import is_loopback
from syncd.receiver.serve import load_tls, serve
from syncd.receiver.settings import Settings
from syncd.receiver.storage_limits import default_reserve

TOKEN_VARIABLE = "SYNCD_SERVE_TOKEN"  # noqa: S105 - a variable's name
"""Environment variable with the token that clients must send."""
_HOST = re.compile(r"[^\s:/\[\]]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")
_ADDRESS_ERRORS = {
    errno.EADDRINUSE: "the address is in use",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


class _Size(click.ParamType[int]):
    """A size such as ``10GiB``, converted to bytes."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the size in bytes."""
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


def _host_name(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name):
            raise click.BadParameter(f"{name}: give a host name or an address, without http:// and port")
    return names


@click.command(epilog=examples("syncd serve", "syncd serve --dir /srv/photos --port 8080 --token-file token"))
@click.option("--dir", "folder", metavar="DIR", help="The folder for the files. Default: received in the state folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=4444, show_default=True, help="0: any free port.")
@click.option("--token", help=f"Require this bearer token. The process list shows it; prefer ${TOKEN_VARIABLE}.")
@click.option("--token-file", metavar="FILE", help="A file that contains only the token.")
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    callback=_host_name,
    help="A host name that clients without a token may use; repeatable.",
)
@click.option(
    "--quota", metavar="SIZE", type=_Size(), help="Limit for the stored files, such as 500GiB. Default: none."
)
@click.option(
    "--reserve",
    metavar="SIZE",
    type=_Size(),
    help="Disk space to keep free. Default: 1GiB, or 5% of the disk if that is less.",
)
@click.option("--tls-cert", metavar="FILE", help="Serve HTTPS with this certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="The key of the certificate (PEM, without a passphrase).")
@click.option(
    "--layout",
    type=click.Choice(["digests", "names"]),
    default="digests",
    show_default=True,
    help="names: also link each file under its name in the folder names.",
)
@click.option("--check", "only_check", is_flag=True, help="Check whether the receiver would work, then exit: 0 or 1.")
def command(  # noqa: PLR0917 - click passes them by name
    folder: str | None,
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    allow_host: tuple[str, ...],
    quota: int | None,
    reserve: int | None,
    tls_cert: str | None,
    tls_key: str | None,
    layout: str,
    *,
    only_check: bool,
) -> int:
    """Run a receiver: a server for both upload APIs that stores files in DIR.

    Answers 507 to an upload that would exceed the quota or use the reserve. Without a token, only requests to the
    receiver's own names are accepted, and none from web pages of other sites.

    With --check, tests the folder, the space, the address and the TLS files, and says how to fix each problem.
    """
    if quota == 0:
        raise click.UsageError("--quota 0: nothing could be stored; omit --quota for no limit")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("give --tls-cert and --tls-key together")
    tls_files = (tls_cert, tls_key) if tls_cert and tls_key else None
    secret = _token(token, token_file)
    logs.configure(secrets=[secret] if secret else [])
    if not secret and not is_loopback(host) and not only_check:
        click.echo(f"syncd: {host}: anyone who can reach this address can store files; set --token-file", err=True)
    folder = os.path.abspath(folder or _default_folder())
    try:
        reserve = default_reserve(folder) if reserve is None else reserve
        settings = Settings(
            folder=folder,
            token=secret,
            allowed_hosts=allow_host,
            quota=quota,
            reserve=reserve,
            names=layout == "names",
        )
        if only_check:
            return _check(check_receiver(settings, host=host, port=port, tls_files=tls_files))
        event_loop.run(_serve(settings, host, port, load_tls(*tls_files) if tls_files else None))
    except TlsFilesError as error:
        raise CommandError(str(error), code=ExitCode.BAD_CONFIG) from None
    except FolderInUseError as error:
        raise CommandError(f"{error}; end it, or use another --dir", code=ExitCode.BUSY) from None
    except OSError as error:
        if error.errno in _ADDRESS_ERRORS:
            problem = f"cannot listen on {host} port {port}: {_ADDRESS_ERRORS[error.errno]}"
            raise CommandError(f"{problem}; set another --host or --port", code=ExitCode.UNAVAILABLE) from None
        raise
    finally:
        logs.close()
    return ExitCode.OK


def _default_folder() -> Path:
    try:
        return paths.state_dir() / "received"
    except NoHomeError:
        raise CommandError(
            "this user has no home folder to store files in; set --dir or HOME", code=ExitCode.BAD_CONFIG
        ) from None


def _check(results: Iterator[Result]) -> int:
    """Print a line for each result; return the exit code."""
    code = ExitCode.OK
    for result in results:
        if result.fix:
            code = ExitCode.FAILED
            click.echo(f"{click.style('error', fg='red')}  {result.where}: {result.what}; {result.fix}")
        else:
            click.echo(f"{click.style('ok   ', fg='green')}  {result.where}: {result.what}")
    return code


async def _serve(settings: Settings, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    stop = asyncio.Event()

    def report_ready(url: str) -> None:
        click.echo(f"{url} stores in {settings.folder}")
        notify.ready(url)

    with signals.calling(dict.fromkeys(signals.END, stop.set)):
        await serve(settings, host=host, port=port, ready=report_ready, stop=stop, tls=tls)


def _token(token: str | None, token_file: str | None) -> str | None:
    if token and token_file:
        raise click.UsageError("give only one of --token and --token-file")
    if token:
        click.echo(f"syncd: the process list shows --token; use --token-file or ${TOKEN_VARIABLE}", err=True)
        return token
    if token_file:
        try:
            with open(token_file, encoding="utf-8") as file:
                token = file.read(65_536).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            problem = f"--token-file {token_file}: {reason}"
            raise CommandError(f"{problem}; give a readable file", code=ExitCode.BAD_CONFIG) from None
        if not token:
            raise CommandError(
                f"--token-file {token_file}: the file is empty; write the token to it", code=ExitCode.BAD_CONFIG
            )
        return token
    return os.environ.get(TOKEN_VARIABLE) or None
