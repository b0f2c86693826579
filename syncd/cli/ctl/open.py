"""``syncd ctl open``: show the dashboard in a browser, which gets its ticket from a file.

On the browser's command line everybody could read it.
"""

import contextlib
import html
import os
import secrets
import sys
import webbrowser
from pathlib import Path

from syncd.cli.errors import Exit, Fault
from syncd.config.paths import runtime_dir, state_dir
from syncd.platform.private import create

NAME = "open.html"
"""The file; the next call writes it anew, its ticket is used up long before."""


def show(url: str, socket_path: str) -> None:
    """Have a browser go to ``url``, which the daemon that listens at ``socket_path`` has given."""
    path = os.path.join(_own_folder(socket_path), NAME)
    write_page(path, url)
    with contextlib.suppress(webbrowser.Error):
        if webbrowser.open(Path(path).as_uri()):
            return
    os.unlink(path)
    raise Fault(
        "no browser was found here: take the address of syncd ctl open --print to one on this machine",
        code=Exit.UNAVAILABLE,
    )


if sys.platform == "win32":

    def _own_folder(_socket_path: str) -> str:
        """Return this user's own folder: a pipe is in none."""
        return _made(state_dir())

else:

    def _own_folder(socket_path: str) -> str:
        """Return the socket's folder or, where that is somebody else's, this user's own."""
        folder = os.path.dirname(os.path.abspath(socket_path))
        return folder if os.stat(folder).st_uid == os.geteuid() else _made(runtime_dir())


def _made(folder: Path) -> str:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.fspath(folder)


def write_page(path: str, url: str) -> None:
    """Put a page that goes on to ``url`` at ``path``; only this user can read it, at any moment."""
    new = os.path.join(os.path.dirname(path), f".{NAME}.{secrets.token_hex(8)}")
    with open(create(new), "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html><meta charset="utf-8"><title>syncd</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">\n'
        )
    os.replace(new, path)
