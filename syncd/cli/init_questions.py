"""Asks for the values of a new configuration on a terminal.

It checks each answer at once. :mod:`syncd.cli.init` writes the configuration. A value that was given as an option is
checked, but only asked for if the user wants another one. The server is asked which API it has and whether it requires
a token, so that the user need not know.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import ValidationError

from syncd.cli.check.server import Settings, probe
from syncd.cli.formatting import clean
from syncd.cli.init import OPTIONS, REMOTES
from syncd.config.model import ImageRemote, MultipartRemote
from syncd.core.errors import Failure, Unauthorized
from syncd.platform import event_loop

PROBE_TIMEOUT = "10s"
"""Longest wait for the server while the user waits for the next question."""
DEFAULT_URL = "http://127.0.0.1:4444"
_MODELS: dict[str, type[MultipartRemote] | type[ImageRemote]] = {"multipart": MultipartRemote, "image": ImageRemote}


class Questions:
    """The questions and their ``answers``.

    ``answers`` has the names of the options' arguments as keys. A question without an answer has None.
    """

    def __init__(self, given: dict[str, str | None]) -> None:
        self.answers = dict(given)

    def options(self) -> list[str]:
        """Return the answers as options of ``syncd init``."""
        return [
            part for name, option in OPTIONS.items() if (value := self.answers[name]) for part in (f"--{option}", value)
        ]

    def ask(self) -> None:
        """Ask for each missing value.

        Raises :class:`click.Abort` at the end of the input and on Ctrl-C.
        """
        self._ask_folder()
        token_required = self._ask_server()
        if token_required or self.answers["token_file"]:
            self._ask_token()
        if self.answers["kind"] == "multipart":
            self._ask_pool()
        elif self.answers["pool_id"]:
            click.echo("  the image API has no pools; --pool-id is left out")
            self.answers["pool_id"] = None

    def _ask_folder(self) -> None:
        pictures = os.path.expanduser("~/Pictures")
        while True:
            answer = self._value("folder", "Folder to watch", pictures if os.path.isdir(pictures) else None)
            path = os.path.abspath(os.path.expanduser(answer))
            problem, actions = _folder_problem(path)
            action = "keep" if problem is None else _choose(problem, *actions)
            if problem is None:
                _report("the folder exists and can be read")
            if action == "keep" or (action == "create" and _create(path)):
                self.answers["folder"] = path
                return
            self.answers["folder"] = None

    def _ask_server(self) -> bool:
        """Ask for the address and the API; return whether to ask for a token."""
        while True:
            url = self._value("url", "Address of the server", DEFAULT_URL)
            types = [self.answers["kind"]] if self.answers["kind"] else list(REMOTES)
            settings = [made for type_ in types if (made := self._settings(type_, "url", url=url))]
            if not settings:
                continue  # the problem has been reported
            self.answers["url"] = url
            click.echo("  asking the server …")
            results = {one.type: _probe(one) for one in settings}
            found = [type_ for type_, (failure, _) in results.items() if failure is None]
            locked = [type_ for type_, (failure, _) in results.items() if isinstance(failure, Unauthorized)]
            if found or locked:
                _report("the server answers" + (", and requires a token" if locked else ""))
                self._choose_type(found or locked)
                return bool(locked)
            if _choose("\n  ".join(text for _, text in results.values()), "change", "keep") == "keep":
                self._choose_type(types)
                return True  # perhaps
            self.answers["url"] = None

    def _choose_type(self, types: Sequence[str]) -> None:
        if len(types) == 1:
            self.answers["kind"] = types[0]
            click.echo(f"  API: {types[0]}")
        else:
            self.answers["kind"] = click.prompt("API to use", default=types[0], type=click.Choice(types))

    def _ask_token(self) -> None:
        while True:
            answer = self._value("token_file", "File with the server's token (Enter: no token)", "")
            if not answer:
                self.answers["token_file"] = None
                return
            path = os.path.abspath(os.path.expanduser(answer))
            problem, actions = self._token_problem(path)
            if problem is None:
                _report("the server accepts the token")
            elif _choose(problem, *actions) == "change":
                self.answers["token_file"] = None
                continue
            self.answers["token_file"] = path
            return

    def _token_problem(self, path: str) -> tuple[str | None, tuple[str, ...]]:
        """Return the problem of a token file, and the actions that the user can choose.

        The default action is first. Without a problem, the first value is None.
        """
        name = clean(path)
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            return f"{name}: {error.strerror}; create it with only the token in it", ("change",)
        except UnicodeDecodeError:
            token = ""
        settings = self._settings(str(self.answers["kind"]), url=self.answers["url"], token=token) if token else None
        if settings is None:
            return f"{name} contains no token; it must contain only the token", ("change",)
        failure, text = _probe(settings)
        return (None, ()) if failure is None else (text, ("change", "keep"))

    def _ask_pool(self) -> None:
        while True:
            answer = self._value("pool_id", "Pool for the files, a GUID or ULID (Enter: the server chooses)", "")
            if not answer:
                self.answers["pool_id"] = None
                return
            if self._settings("multipart", "pool_id", url=self.answers["url"], pool_id=answer):
                self.answers["pool_id"] = answer
                return

    def _value(self, name: str, question: str, default: str | None) -> str:
        """Return the given value, or ask for it."""
        return self.answers[name] or str(click.prompt(question, default=default, show_default=bool(default)))

    def _settings(self, kind: str, name: str | None = None, **values: str | None) -> Settings | None:
        """Return the settings of a remote.

        If a value is invalid, reports the problem of the answer ``name`` and returns None.
        """
        try:
            return _MODELS[kind].model_validate({"type": kind, "timeout": PROBE_TIMEOUT, **values})
        except ValidationError as error:
            if name is not None:
                self.answers[name] = None
                click.echo(f"  {error.errors(include_input=False)[0]['msg'].removeprefix('Value error, ')}")
            return None


def _folder_problem(path: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the problem of a folder, and the actions that the user can choose.

    The default action is first. Without a problem, the first value is None.
    """
    name = clean(path)
    try:
        path.encode()
    except UnicodeEncodeError:
        return f"{name}: YAML cannot contain a name that is not UTF-8; rename the folder", ("change",)
    if not os.path.lexists(path):
        return f"{name} does not exist", ("create", "keep", "change")
    if not os.path.isdir(path):
        return f"{name} is not a folder", ("change",)
    if not os.access(path, os.R_OK | os.X_OK):
        return f"{name} cannot be read; give this user permission", ("change", "keep")
    return None, ()


def _create(path: str) -> bool:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        click.echo(f"  {clean(path)} cannot be created: {error.strerror}")
        return False
    _report("created")
    return True


def _choose(problem: str, *actions: str) -> str:
    """Report a problem, and return the action that the user chooses.

    It is one of ``actions``; the first is the default.
    """
    click.echo(f"  {problem}")
    if len(actions) == 1:
        return actions[0]
    return str(click.prompt("  Do what", default=actions[0], type=click.Choice(actions)))


def _report(text: str) -> None:
    click.echo(f"  {click.style('ok', fg='green')}: {text}")


def _probe(settings: Settings) -> tuple[Failure | None, str]:
    """Ask the server; return the failure, if any, and the problem with its fix."""
    finding, failure = event_loop.run(probe(settings.type, settings))
    return failure, "; ".join(filter(None, (f"{settings.type} API: {finding.what}", finding.advice)))
