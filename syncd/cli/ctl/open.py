"""``syncd ctl open``: opens the dashboard in a browser.

The browser gets the path of a private file that redirects to the login address, because other users can read the
browser's command line.
"""

import contextlib
import html
import os
import secrets
import webbrowser
from pathlib import Path

from syncd.cli.errors import CommandError, ExitCode
from syncd.config.paths import runtime_dir
from syncd.platform import user
from syncd.platform.private import create_private
from syncd.platform.sockets import socket_folder

PAGE_NAME = "open.html"
"""The redirecting file. The next call replaces it; its login address expires after a minute."""


def show(url: str, socket_path: str) -> None:
    """Open ``url``, a login address from the daemon at ``socket_path``, in a browser.

    Raises :class:`CommandError` if there is no browser.
    """
    path = os.path.join(_private_folder(socket_path), PAGE_NAME)
    write_page(path, url)
    with contextlib.suppress(webbrowser.Error):
        if webbrowser.open(Path(path).as_uri()):
            return
    os.unlink(path)
    raise CommandError(
        "no browser found; print the address with syncd ctl open --print and open it on this machine",
        code=ExitCode.UNAVAILABLE,
    )


def _private_folder(socket_path: str) -> str:
    """Return the socket's folder if this user owns it, otherwise the runtime folder."""
    folder = socket_folder(socket_path)
    if folder and user.owns(os.stat(folder)):
        return folder
    own = runtime_dir()
    os.makedirs(own, mode=0o700, exist_ok=True)
    return os.fspath(own)


def write_page(path: str, url: str) -> None:
    """Atomically write a page with mode 0600 that redirects to ``url``."""
    new = os.path.join(os.path.dirname(path), f".{PAGE_NAME}.{secrets.token_hex(8)}")
    with open(create_private(new), "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html><meta charset="utf-8"><title>syncd</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">\n'
        )
    os.replace(new, path)
