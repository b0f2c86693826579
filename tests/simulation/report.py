"""Reports how often each operation and fault was injected, and how often it was survived."""

from collections import Counter
from collections.abc import Iterator, Mapping

_SERVERS = "answers, connections and what servers forget"
_GROUPS = {"file ": "files", "event ": "events", "drive: ": _SERVERS, "ascii: ": _SERVERS}
_REST = "the process, the machine and people"


class Report:
    """Counts over many schedules. An injection is survived if its schedule broke no promise."""

    def __init__(self) -> None:
        self._injected: Counter[str] = Counter()
        self._survived: Counter[str] = Counter()
        self._schedules: Counter[str] = Counter()

    def add(self, tally: Mapping[str, int], *, survived: bool) -> None:
        """Add the injections of one schedule."""
        struck = {what: number for what, number in tally.items() if number}
        self._injected.update(struck)
        self._schedules.update(struck.keys())
        if survived:
            self._survived.update(struck)

    def lines(self) -> Iterator[str]:
        """Yield the table as Markdown."""
        yield "| | what | injected | in schedules | survived |\n|---|---|---:|---:|---:|"
        for group, what in sorted((_group(what), what) for what in self._injected):
            numbers = (self._injected[what], self._schedules[what], self._survived[what])
            yield f"| {group} | {what.removeprefix('file ')} | {' | '.join(map(str, numbers))} |"


def _group(what: str) -> str:
    return next((group for prefix, group in _GROUPS.items() if what.startswith(prefix)), _REST)
