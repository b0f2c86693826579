"""``syncd ctl open``: show the dashboard in a browser, which gets its ticket from a file.

On the browser's command line everybody could read it.
"""

import contextlib
import html
import os
import tempfile
import webbrowser
from pathlib import Path

from syncd.cli.faults import Exit, Fault

NAME = "open.html"
"""The file, in the folder of the control socket; the next call writes it anew, its ticket is used up long before."""


def show(url: str, folder: str) -> None:
    """Have a browser go to ``url`` by way of a file in ``folder`` that this user alone can read."""
    path = os.path.join(folder, NAME)
    write_page(path, url)
    with contextlib.suppress(webbrowser.Error):
        if webbrowser.open(Path(path).as_uri()):
            return
    os.unlink(path)
    raise Fault(
        "no browser was found here: take the address of syncd ctl open --print to one on this machine",
        code=Exit.UNAVAILABLE,
    )


def write_page(path: str, url: str) -> None:
    """Put a page that goes on to ``url`` at ``path``; only this user can read it, at any moment."""
    fd, new = tempfile.mkstemp(prefix=f".{NAME}.", dir=os.path.dirname(path))
    with open(fd, "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html><meta charset="utf-8"><title>syncd</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">\n'
        )
    os.rename(new, path)
