"""The documentation agrees with the code.

This covers each event, key, default, state, exit code, command, option and route. Each list is compared in both
directions, so that neither the documentation nor the code can grow without the other.
"""

import ast
import asyncio
import importlib
import io
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from syncd import logs
from syncd.cli import cli
from syncd.cli.errors import ExitCode
from syncd.config.load import Loaded, load
from syncd.config.model import AfterUpload, Config, Control, Folder, LogFile, Logging, Retry, Scheduler, Span
from syncd.config.notify import Notify, Ping
from syncd.config.remotes import ImageRemote, MultipartRemote, Remote
from syncd.config.section import Section
from syncd.control import event_schemas, routes, schemas
from syncd.control.events import LOST
from syncd.core.model import Sort
from syncd.core.states import TABLE, Cause, Outcome, State
from syncd.daemon import metrics
from syncd.daemon.daemon import Daemon
from syncd.daemon.runtime import open_runtime
from syncd.platform import signals
from syncd.store import job_log
from syncd.store.records import Change

ROOT = Path(__file__).parents[1]
DOCS = {
    name: (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("commands", "configuration", "events", "http-api", "jobs", "metrics")
}
PROSE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "packaging/*/README.md")


def part(text: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of any level."""
    parts = re.split(rf"(?m)^{re.escape(heading)}$", text)
    assert len(parts) == 2, f"{heading} should stand there once"
    return re.split(r"(?m)^#+ ", parts[1])[0]


def rows(text: str, first: str) -> list[list[str]]:
    """Return the cells of the tables whose first column is headed ``first``."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[0] == first:
            inside = True
        elif inside and set(cells[0]) != {"-"}:
            found.append(cells)
    return found


def code(text: str) -> list[str]:
    """Return the texts in backticks."""
    return re.findall(r"`([^`]+)`", text)


def by_name(table: Iterable[list[str]]) -> dict[str, list[str]]:
    """Return rows by the code in their first cell; each name once."""
    found: dict[str, list[str]] = {}
    for row in table:
        (name,) = code(row[0])
        assert name not in found, f"{name} is there twice"
        found[name] = row
    return found


# Log events.


@dataclass
class Event:
    """The levels and fields of one log event in the code."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


LEVELS = {name: name for name in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
JOURNAL = "syncd/store/job_log.py"


class _Calls(ast.NodeVisitor):
    """Finds every logger call in one module, and the name of its event."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.events: defaultdict[str, Event] = defaultdict(Event)
        self._module = name
        self._assigned: dict[str, list[ast.expr]] = defaultdict(list)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._assigned[node.targets[0].id].append(node.value)
        self.visit(tree)

    def visit_Call(self, call: ast.Call) -> None:
        self.generic_visit(call)
        if levels := self._levels(call.func):
            for name in self._names(call.args[0], call):
                self._note(self.events[name], levels, call)

    def _note(self, event: Event, levels: set[str], call: ast.Call) -> None:
        event.levels |= levels
        given = {keyword.arg for keyword in call.keywords if keyword.arg}
        assert given or not call.keywords, f"{self._module}:{call.lineno}: fields that can't be read here"
        if "exc_info" in given or (isinstance(call.func, ast.Attribute) and call.func.attr == "exception"):
            given = given - {"exc_info"} | {"error"}
        event.fields |= given | ({"folder"} if self._module.startswith("syncd/watch/") else set())  # bound there

    def _levels(self, called: ast.expr) -> set[str]:
        """Return the levels of a logger's method, or of a variable with such a method, else none."""
        if isinstance(called, ast.Attribute) and called.attr in LEVELS and self._is_logger(called.value):
            return {LEVELS[called.attr]}
        if isinstance(called, ast.Name):
            given = self._assigned.get(called.id, [])
            return {
                LEVELS[node.attr]
                for value in given
                for node in ast.walk(value)
                if isinstance(node, ast.Attribute) and node.attr in LEVELS and self._is_logger(node.value)
            }
        return set()

    @staticmethod
    def _is_logger(value: ast.expr) -> bool:
        return (isinstance(value, ast.Name) and value.id == "log") or (
            isinstance(value, ast.Attribute) and value.attr in ("log", "_log")
        )

    def _names(self, argument: ast.expr, call: ast.Call) -> set[str]:
        """Return the possible values of the first argument: a literal, a choice, or a variable."""
        values = self._assigned[argument.id] if isinstance(argument, ast.Name) else [argument]
        branches = [
            branch
            for value in values
            for branch in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
        ]
        names = {of.value for of in branches if isinstance(of, ast.Constant) and isinstance(of.value, str)}
        assert len(names) == len(branches) > 0, f"{self._module}:{call.lineno}: the event's name is not a literal"
        return names


def events_in_code() -> dict[str, Event]:
    found: defaultdict[str, Event] = defaultdict(Event)
    for path in sorted((ROOT / "syncd").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name == JOURNAL:  # its event names come from the states; `journal_events` runs it
            continue
        for event, called in _Calls(name, ast.parse(path.read_text(encoding="utf-8"))).events.items():
            found[event].levels |= called.levels
            found[event].fields |= called.fields
    found[logs.LIBRARY_EVENT] = Event(levels={"warning", "error", "critical"}, fields={"logger", "message", "error"})
    return dict(found)


def journal_events() -> dict[str, Event]:
    """Return the events that `job_log` writes for changes to each state, with every field set."""
    stream = io.StringIO()
    logs.configure(level="debug", format="json", stream=stream)
    for state, backlog in itertools.product(State, (False, True)):
        job_log.JobLog(each_file=False).on_change(
            Change(
                job_id=1,
                folder="/in",
                path="a.jpg",
                remote="drive",
                cause=Cause.FOUND,
                before=None,
                after=state,
                detail="why",
                outcome=Outcome.UPLOADED,
                size=1,
                at=0.0,
                backlog=backlog,
            )
        )
    found: defaultdict[str, Event] = defaultdict(Event)
    for line in map(json.loads, stream.getvalue().splitlines()):
        found[line["event"]].levels.add(line["level"])
        found[line["event"]].fields |= set(line) - {"timestamp", "level", "event"}
    return dict(found)


def test_log_events_are_documented() -> None:
    documented = {
        name: Event(levels=set(levels.split(", ")), fields=set(code(fields)))
        for name, (_, levels, fields, _) in by_name(rows(DOCS["events"], "event")).items()
    }
    assert documented == events_in_code() | journal_events()


def test_module_loggers_are_named_log() -> None:
    """Each module's logger is named ``log``, because the tests find only that name.

    `logs` is excluded: it forwards the messages of libraries.
    """
    for path in (ROOT / "syncd").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        made = re.findall(r"(?m)^(\w+) = structlog\.get_logger\(", text)
        assert set(made) <= {"log"} or path.name == "__init__.py", path


# Configuration.

BOTH = {*Remote.keys(), "type"}
SECTIONS: dict[str, tuple[type[Section], set[str]]] = {
    "## The file": (Config, set(Config.keys())),
    "## folders": (Folder, set(Folder.keys())),
    "### after_upload": (AfterUpload, set(AfterUpload.keys()) - {"action"}),
    "## remotes": (Remote, BOTH),
    "### type: image": (ImageRemote, set(ImageRemote.keys()) - BOTH),
    "### type: multipart": (MultipartRemote, set(MultipartRemote.keys()) - BOTH),
    "## scheduler": (Scheduler, set(Scheduler.keys())),
    "### bandwidth": (Span, set(Span.keys())),
    "### retry": (Retry, set(Retry.keys())),
    "## control": (Control, set(Control.keys())),
    "## logging": (Logging, set(Logging.keys())),
    "### file": (LogFile, set(LogFile.keys())),
    "## notify": (Notify, set(Notify.keys())),
    "### ping": (Ping, set(Ping.keys())),
}
SECTION_PATHS: dict[str, tuple[tuple[str | int, ...], ...]] = {
    "## folders": (("folders", 0),),
    "## remotes": (("remotes", "a"), ("remotes", "d")),
    "### type: image": (("remotes", "a"),),
    "### type: multipart": (("remotes", "d"),),
    "## scheduler": (("scheduler",),),
    "### retry": (("scheduler", "retry"),),
    "## control": (("control",),),
    "## logging": (("logging",),),
    "### file": (("logging", "file"),),
    "## notify": (("notify",),),
    "### ping": (("notify", "ping"),),
}
"""The location of each section's keys in the file with which the defaults are tested."""
IN_WORDS = {"include", "state_dir", "store", "socket"}
"""Their defaults are a long list or depend on the platform."""


def options(heading: str) -> dict[str, list[str]]:
    return by_name(rows(part(DOCS["configuration"], heading), "key"))


def test_every_section_is_documented() -> None:
    def below(annotation: Any) -> set[type[Section]]:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            return {annotation}.union(*(below(of.annotation) for of in annotation.model_fields.values()))
        return set().union(*map(below, get_args(annotation)))

    short_forms = {"Bandwidth", "Address"}  # a list, and host:port
    known = {section for section, _ in SECTIONS.values()} - {Remote}
    assert {section.__name__ for section in below(Config) - known} == short_forms


@pytest.mark.parametrize("heading", SECTIONS)
def test_keys_are_documented(heading: str) -> None:
    assert set(options(heading)) == SECTIONS[heading][1]


@pytest.mark.parametrize("heading", SECTIONS)
def test_choices_of_keys_are_documented(heading: str) -> None:
    fields = SECTIONS[heading][0].model_fields
    for key, row in options(heading).items():
        taken = words_of(fields[key].annotation) if key in fields else set()
        assert taken <= {*code(row[1]), *code(row[2]), "move"}, key


def words_of(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*map(words_of, get_args(annotation)))


@pytest.mark.parametrize("heading", SECTIONS)
def test_required_and_unset_keys_are_documented(heading: str) -> None:
    fields = {of.alias or name: of for name, of in SECTIONS[heading][0].model_fields.items()}
    for key, (_, _, default, _) in options(heading).items():
        if key in fields and key not in IN_WORDS | {"control"}:
            assert (default == "required") == fields[key].is_required(), key
            assert default != "—" or fields[key].default is None, key


@pytest.mark.parametrize("heading", SECTION_PATHS)
def test_defaults_are_documented(tmp_path: Path, heading: str) -> None:
    """A file that sets a key to its documented default means the same as one without it."""
    for key, (_, _, default, _) in options(heading).items():
        if key not in IN_WORDS and (value := code(default)):
            for location in SECTION_PATHS[heading]:
                loaded = configuration(tmp_path, location, {key: yaml.safe_load(value[0])})
                assert loaded == configuration(tmp_path, location, {}), key


def configuration(tmp_path: Path, location: Iterable[str | int], added: dict[str, Any]) -> Config:
    """Load a small file with these keys added at ``location``."""
    data: dict[str, Any] = {
        "folders": [{"path": "in", "remote": "d"}],
        "remotes": {
            "a": {"type": "image", "url": "http://host"},
            "d": {"type": "multipart", "url": "http://host", "pool_id": "00000000-0000-0000-0000-000000000000"},
        },
        "scheduler": {"retry": {}},
        "control": {},
        "logging": {"file": {"path": "log"}} if tuple(location) == ("logging", "file") else {},
        "notify": {"ping": {"url": "http://host"}} if tuple(location) == ("notify", "ping") else {},
    }
    section: Any = data
    for step in location:
        section = section[step]
    section.update(added)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return load(path).config


# Commands.


def test_states_causes_and_outcomes_are_documented() -> None:
    states = DOCS["jobs"]
    assert set(by_name(rows(states, "state"))) == set(State)
    assert set(by_name(rows(states, "outcome of `done`"))) == set(Outcome)
    leads = {cause: code(row[1]) for cause, row in by_name(rows(states, "cause")).items()}
    assert leads == {cause: sorted({end for (_, by), end in TABLE.items() if by is cause}) for cause in Cause}


def test_exit_codes_are_documented() -> None:
    assert [int(row[0]) for row in rows(DOCS["commands"], "code")] == list(ExitCode)


def commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command


def spelled(command: click.Command) -> set[str]:
    return {
        spelling
        for option in command.params
        if isinstance(option, click.Option)
        for spelling in (*option.opts, *option.secondary_opts)
    }


def test_every_command_is_documented() -> None:
    headings = set(re.findall(r"(?m)^## syncd (.+)$", DOCS["commands"]))
    assert headings == set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("name", ["", *cli.list_commands(click.Context(cli))])
def test_command_options_are_documented(name: str) -> None:
    command = cli.get_command(click.Context(cli), name) if name else cli
    assert command is not None
    table = rows(part(DOCS["commands"], f"## syncd {name}" if name else "# Commands"), "option")
    documented = [spelling for row in table for spelling in code(row[0])]
    assert sorted(documented) == sorted(spelled(command) | (set() if name else {"-h", "--help"}))


@pytest.mark.parametrize("of", ["config", "ctl", "service"])
def test_subcommands_are_documented(of: str) -> None:
    group = cli.get_command(click.Context(cli), of)
    assert isinstance(group, click.Group)
    documented = {}
    for usage, options_of, _ in rows(part(DOCS["commands"], f"## syncd {of}"), "command"):
        (words,) = code(usage)
        name, _, arguments = words.partition(" ")
        documented[name] = arguments, set(code(options_of))
    assert documented == {
        command.name: (
            " ".join(
                of.make_metavar(click.Context(command)) for of in command.params if isinstance(of, click.Argument)
            ),
            spelled(command),
        )
        for command in commands(group)
    }


@pytest.mark.unix
def test_signals_are_documented() -> None:
    documented = {tuple(code(row[0])) for row in rows(DOCS["commands"], "signal")}
    assert documented == {tuple(number.name for number in group) for group in (signals.END, signals.RELOAD)}


def test_environment_variables_are_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "syncd").rglob("*.py"))
    ours = set(re.findall(r"\"(SYNCD_\w+|NO_COLOR)\"", text))
    assert set(by_name(rows(DOCS["commands"], "variable"))) == ours


# The control API.


def test_routes_are_documented() -> None:
    served = {f"{route.method} {route.path}" for route in routes.ROUTES}
    assert set(by_name(rows(DOCS["http-api"], "request"))) == served


def test_control_events_are_documented() -> None:
    documented = by_name(rows(part(DOCS["http-api"], "## The event stream"), "event"))
    assert set(documented) == {*event_schemas.EVENT_KINDS, LOST}
    for name, shape in (
        ("job", event_schemas.JobEvent),
        ("daemon", event_schemas.DaemonEvent),
        ("progress", event_schemas.Progress),
    ):
        assert set(get_type_hints(shape)) <= set(code(documented[name][1])), name
    assert set(get_type_hints(event_schemas.ActiveUpload)) <= set(code(documented["progress"][1]))


def test_sort_orders_are_documented() -> None:
    assert set(Sort) <= set(code(part(DOCS["http-api"], "## Selecting jobs")))


def test_metrics_are_documented(tmp_path: Path) -> None:
    """Return the metrics of a daemon that has opened its runtime."""
    folder = tmp_path / "in"
    folder.mkdir()

    async def scraped() -> str:
        config = configuration(tmp_path, (), {"state_dir": "state"})
        daemon = Daemon(Loaded(config=config, path=tmp_path / "config.yaml", warnings=()))
        async with open_runtime(daemon.loaded.config, failed=pytest.fail) as daemon.runtime:
            body, _ = await metrics.scrape(daemon)
            return body.decode()

    actual = {
        sample.name: (family.type, sorted(sample.labels), family.documentation)
        for family in text_string_to_metric_families(asyncio.run(scraped()))
        for sample in family.samples
    }
    documented = by_name(rows(DOCS["metrics"], "metric"))
    assert actual == {name: (kind, sorted(code(labels)), text) for name, (_, kind, labels, text) in documented.items()}


def test_status_fields_are_documented() -> None:
    documented = by_name(rows(part(DOCS["http-api"], "## The status document"), "field"))
    assert {name.removesuffix("[]") for name in documented} == set(get_type_hints(schemas.Status))
    for name, shape in ("folders[]", schemas.FolderStatus), ("remotes[]", schemas.RemoteStatus):
        assert set(get_type_hints(shape)) <= set(code(documented[name][1])), name
    assert set(get_type_hints(schemas.ByteCounts)) == set(code(documented["bytes"][1]))


def test_job_fields_are_documented() -> None:
    documented = by_name(rows(part(DOCS["http-api"], "## A job"), "field"))
    assert {name.removesuffix("[]") for name in documented} == set(get_type_hints(schemas.JobDetail))
    assert set(get_type_hints(schemas.HistoryEntry)) <= set(code(documented["history[]"][1]))


# All documents.


def prose() -> list[Path]:
    return sorted(path for pattern in PROSE for path in ROOT.glob(pattern))


@pytest.mark.parametrize("path", prose(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_have_targets(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", there.read_text(encoding="utf-8"))
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_readme_configuration_is_valid(tmp_path: Path) -> None:
    (shown,) = re.findall(r"(?s)```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "drive.token").write_text("token")
    (tmp_path / "drive.token").chmod(0o600)
    (tmp_path / "config.yaml").write_text(shown, encoding="utf-8")
    assert load(tmp_path / "config.yaml").warnings == ()


MAX_TERMS = 30


def test_glossary_defines_each_term_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"(?m)^## (.+)\n\n(.+)\n", text)
    terms = [term.casefold() for term, _ in entries]
    assert len(terms) == len(re.findall(r"(?m)^#{2,} ", text)) <= MAX_TERMS
    assert terms == sorted(set(terms))
    for term, definition in entries:
        assert len(re.findall(r"[.!?](?= |$)", definition)) in (1, 2), term


def test_reference_covers_each_state_cause_outcome_and_event() -> None:
    """Search all reference pages for the names; other tests compare the tables."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    named = {name for page in pages for row in page.read_text(encoding="utf-8").splitlines() for name in code(row[:99])}
    missing = {*State, *Cause, *Outcome, *events_in_code(), *journal_events()} - named
    assert not missing


def test_index_lists_every_page() -> None:
    docs = ROOT / "docs"
    index = (docs / "README.md").read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", index)}
    assert linked == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"README.md"}


CHECKED_PAGES = (
    "architecture", "confirmations", "preview-sandbox", "reliability", "run-large-tests", "servers", "simulation",
    "testing",
)  # fmt: skip


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_modules_named_in_page_exist(page: str) -> None:
    """A path is relative to the repository, to the package, to the tests or to the simulation."""
    (path,) = (ROOT / "docs").rglob(f"{page}.md")
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    names = [name for name in code(text) if re.fullmatch(r"[\w/]+\.py", name)]
    assert names
    for name in names:
        assert any((ROOT / below / name).exists() for below in ("", "syncd", "tests", "tests/simulation")), name


def test_source_map_is_complete() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(by_name(rows(text, "package")))
    package = ROOT / "syncd"
    runtime = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert named == runtime | modules


def test_code_named_in_architecture_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    prose = re.sub(r"(?s)```.*?```", "", text)
    paths = [name for name in code(prose) if re.fullmatch(r"[\w/]+\.py", name)]
    assert len(paths) > 20
    for name in paths:
        assert (ROOT / "syncd" / name).exists() or (ROOT / name).exists(), name


def test_names_in_architecture_diagram_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    nodes = re.findall(r'\["([\w.]+)<br>(\w+)', text)
    assert len(nodes) > 10
    for module, name in nodes:
        imported = importlib.import_module(f"syncd.{module}")
        assert hasattr(imported, name), f"{module}: {name}"
