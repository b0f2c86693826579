"""The JSON Schema accepts valid configurations, and refuses structural errors."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.cli.init import example_text
from syncd.config.json_schema import document
from syncd.config.model import Config
from syncd.config.section import Section
from tests.config import test_load
from tests.config.test_example import NOT_IN_A_FILE, sections

jsonschema = pytest.importorskip("jsonschema")  # not on the Windows of the tests

PACKAGED = Path(__file__).parents[2] / "packaging" / "systemd" / "config.yaml"
NEEDS_MORE_THAN_STRUCTURE = {
    "bandwidth: 0",
    "url: http://h:99999",
    "url: http://h, token: secret€",
    'url: http://h, headers: {X: "sec\\rret"}',
    "url: http://h, headers: {Content-Length: secret}",
    "url: http://h, ca_file: nowhere.pem",
    "url: http://h, chunk_size: 2MiB",
    "control: {dashboard: 'localhost:65536'}",
    "control: {dashboard: 0.0.0.0:8765}",
    "control: {dashboard: '[::]:8765'}",
    "control: {dashboard: 192.168.1.5:8765}",
    "control: {dashboard: example.org:8765}",
    f"control: {{socket: /{'x' * 107}}}",
    f"state_dir: /{'x' * 100}",
    "state_dir: ~no-such-user/x",
}
"""The errors of `test_load` that depend on this machine, on sums, or on the meaning of an address."""


class EditorLoader(yaml.CSafeLoader):
    """Reads YAML 1.2, as editors do: `no` and `22:00` are texts."""


EditorLoader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", "true|false", "tf"),
    ("int", "-?[0-9]+", "-0123456789"),
    ("null", "null|~|", ["n", "~", ""]),
):
    EditorLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def problems(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(document())
    return [error.message for error in validator.iter_errors(yaml.load(text, EditorLoader))]


def lines_of(test: Any) -> list[str]:
    """Return the first parameter of each case of a test."""
    (mark,) = test.pytestmark
    return [str(getattr(case, "values", case)[0]) for case in mark.args[1]]


BASE = test_load.FOLDERS + test_load.REMOTES
INVALID = [
    *((line, f"{BASE}scheduler:\n  {line}\n") for line in lines_of(test_load.test_load_invalid_scheduler_is_refused)),
    *(
        (keys, f"{test_load.FOLDERS}remotes:\n  drive: {{type: image, {keys}}}\n")
        for keys in lines_of(test_load.test_load_invalid_remote_is_refused)
    ),
    *((line, f"{BASE}{line}\n") for line in lines_of(test_load.test_load_other_invalid_key_is_refused)),
]


def test_document_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(document())


@pytest.mark.parametrize("text", [example_text(), PACKAGED.read_text(encoding="utf-8"), BASE], ids=lambda text: "")
def test_schema_accepts_valid_file(text: str) -> None:
    assert problems(text) == []


def test_schema_accepts_commented_keys_of_the_example() -> None:
    text = re.sub(r"(?m)^  (bandwidth: unlimited|file: null)\n", "", example_text())
    text = re.sub(r"(?m)^( *)#: ", r"\1", text)
    assert problems(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "scheduler: {concurrency: auto, bandwidth: [{from: 22:00, to: 6:00, limit: unlimited}], retry: {max: 1m}}",
        "scheduler: {concurrency: 8, bandwidth: '${RATE}'}",
        "control: {dashboard: off}\nlogging: {file: log.txt}",
        "control: {dashboard: false}\nlogging: {file: {path: log.txt, max_size: 5000000}}",
        "control:\nscheduler:\n  retry:\n    max:",
        "store: sqlite:///jobs.db",
    ],
)
def test_schema_accepts_each_form_of_a_value(line: str) -> None:
    assert problems(f"{BASE}{line}\n") == []


@pytest.mark.parametrize(("line", "text"), [case for case in INVALID if case[0] not in NEEDS_MORE_THAN_STRUCTURE])
def test_schema_refuses_structural_error(line: str, text: str) -> None:
    assert problems(text) != []


@pytest.mark.parametrize(("line", "text"), [case for case in INVALID if case[0] in NEEDS_MORE_THAN_STRUCTURE])
def test_schema_accepts_what_only_check_finds(line: str, text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize("missing", ["folders", "remotes"])
def test_schema_requires_folders_and_remotes(missing: str) -> None:
    assert problems({"folders": test_load.REMOTES, "remotes": test_load.FOLDERS}[missing]) != []


@pytest.mark.parametrize("section", sorted(sections(Config), key=lambda section: section.__name__))
def test_schema_has_every_key_of_the_model(section: type[Section]) -> None:
    found = {"Config": document(), **document()["$defs"]}.get(section.__name__)
    if found is None:
        assert section.__name__ in NOT_IN_A_FILE
    else:
        assert set(found["properties"]) == set(section.keys())
        assert found["additionalProperties"] is False
