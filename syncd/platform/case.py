"""How the disk spells a path: where upper and lower case are one, it can be told in many ways, and is one file."""

import sys

if sys.platform == "win32":
    from syncd.platform.open_flags import join_path
    from syncd.platform.windows.files import name_on_disk

    def on_disk_case(folder: str, path: str, known: dict[str, str | None] | None = None) -> str | None:
        """Return how the disk spells ``path``, which is below ``folder``; None if nothing is there. Blocks.

        ``known`` keeps what was found, for those who ask for many in a row. OSError where that can't be told.
        """
        known = {} if known is None else known
        at = ""
        for part in path.split("/"):
            wanted = f"{at}/{part}" if at else part
            if wanted not in known:
                name = name_on_disk(join_path(folder, wanted))
                known[wanted] = name and (f"{at}/{name}" if at else name)
            if (found := known[wanted]) is None:
                return None
            at = found
        return at
else:

    def on_disk_case(folder: str, path: str, known: dict[str, str | None] | None = None) -> str | None:  # noqa: ARG001 - as above
        """Return the path as it is: two spellings are two files here."""
        return path
