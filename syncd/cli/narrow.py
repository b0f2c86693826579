"""Fits the output into narrow terminals.

It folds lines, and stacks the columns of help pages. Output on a terminal of :data:`WIDE_COLUMNS` or more, or in a pipe
without ``$COLUMNS``, is unchanged.
"""

import re
import shutil
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby

import click

WIDE_COLUMNS = 60
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def columns() -> int:
    """Return the columns of the terminal; 80 if there is none."""
    return shutil.get_terminal_size().columns


def is_narrow() -> bool:
    """Return whether lines must be folded and tables stacked."""
    return columns() < WIDE_COLUMNS


def fold(line: str) -> Iterator[str]:
    """Yield ``line`` in parts that fit into a narrow terminal.

    The parts end between words and keep the indentation. A longer word, such as a path, is a separate part.
    """
    width = columns()
    if width >= WIDE_COLUMNS or cells(line) <= width:
        yield line
        return
    indent = min(len(line) - len(line.lstrip(" ")), width // 4)
    part = ""
    for word in line.split():
        longer = f"{part} {word}" if part else " " * indent + word
        if part and cells(longer) > width:
            yield part
            longer = " " * (indent + 2) + word
        part = longer
    yield part


def fold_all(lines: Iterable[str]) -> Iterator[str]:
    """Yield all ``lines``, each folded."""
    for line in lines:
        yield from fold(line)


def cells(text: str) -> int:
    """Return the cells that ``text`` takes on a terminal, without its colours."""
    plain = _ESCAPE.sub("", text)
    return len(plain) if plain.isascii() else sum(map(_cells_of, plain))


def _cells_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class HelpFormatter(click.HelpFormatter):
    """Writes help pages that fit into narrow terminals.

    In a narrow terminal, each explanation is below its option or command.
    """

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        self._narrow = is_narrow()
        super().__init__(indent_increment, columns() if self._narrow else width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands with their explanations."""
        if not self._narrow:
            super().write_dl(rows, col_max, col_spacing)
            return
        for term, explanation in rows:
            self._write_wrapped(term.replace("|", "| "), self.current_indent, self.current_indent + 4)
            self._write_wrapped(explanation, self.current_indent + 4, self.current_indent + 4)

    def write_text(self, text: str) -> None:
        r"""Write paragraphs; lines after ``\b`` stay lines, but are wrapped."""
        if not self._narrow:
            super().write_text(text)
            return
        for is_blank, paragraph in groupby(text.splitlines(), key=lambda line: not line.strip()):
            lines = list(paragraph)
            if is_blank:
                self.write_paragraph()
            elif lines[0].strip() != "\b":
                self._write_wrapped(" ".join(lines), self.current_indent, self.current_indent)
            else:
                for line in lines[1:]:
                    indent = self.current_indent + len(line) - len(line.lstrip())
                    self._write_wrapped(line.strip(), indent, indent + 2)

    def _write_wrapped(self, text: str, first: int, others: int) -> None:
        wrapper = textwrap.TextWrapper(
            self.width,
            initial_indent=" " * first,
            subsequent_indent=" " * others,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in wrapper.wrap(text):
            self.write(f"{line}\n")
