"""Reads the files that hold notification URLs.

`notify.urls_file` and `notify.ping.url_file` name them. The URLs get into the data before the model validates it, as
:mod:`syncd.config.tokens` does with tokens.
"""

from collections.abc import Iterator
from typing import Any

from syncd.config import notify, values
from syncd.config.document import Document, KeyPath
from syncd.config.errors import Problem
from syncd.config.secret_files import SecretFiles


class NotifyFiles:
    """The notification URLs in the files of a document, with their problems."""

    def __init__(self, document: Document, files: SecretFiles) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._files = files
        section = document.data.get("notify")
        self._section: dict[str, Any] = section if isinstance(section, dict) else {}
        self._urls = list(self._read(self._section, "urls_file", ("notify",)))
        ping = self._section.get("ping")
        self._ping: dict[str, Any] = ping if isinstance(ping, dict) else {}
        self._ping_urls = list(self._read(self._ping, "url_file", ("notify", "ping")))
        self._check_ping()

    def added_to(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data of the document with each URL in its place."""
        section = dict(self._section)
        if self._urls:
            given = section.get("urls") or []
            section["urls"] = [*(given if isinstance(given, list) else [given]), *self._urls]
        if self._ping_urls:
            section["ping"] = {**self._ping, "url": self._ping_urls[0]}
        return {**data, "notify": section} if section else data

    def _read(self, section: dict[str, Any], key: str, above: KeyPath) -> Iterator[str]:
        """Yield the lines of a file that are neither empty nor comments."""
        path = (*above, key)
        if section.get(key) is None:
            return
        try:
            lines = self._files.read(self._files.resolve(values.text(section[key])), path).splitlines()
            found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
            values.not_empty(found)
            if key == "urls_file":
                for url in found:
                    notify.notification_url(url)
        except ValueError as error:
            self.problems.append(self._document.problem(path, str(error)))
            return
        yield from found

    def _check_ping(self) -> None:
        path: KeyPath = ("notify", "ping", "url_file")
        if self._ping.get("url") is not None and self._ping.get("url_file") is not None:
            self.problems.append(self._document.problem(path, "give only one of url and url_file"))
        elif len(self._ping_urls) > 1:
            self.problems.append(self._document.problem(path, "the file must have one address"))
