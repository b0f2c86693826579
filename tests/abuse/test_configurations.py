"""Random configurations load or report each problem in one line; patterns match as in git."""

import os
import sys
import time

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncd.cli import main
from syncd.cli.init import example_text
from syncd.config.load import ConfigError, load
from syncd.watch.patterns import Patterns

TEXT = example_text()
LINES = TEXT.splitlines()
SETTINGS = [line for line in LINES if line.strip() and not line.lstrip().startswith("# ")]
VALUES = [
    *("", "null", "~", "[]", "{}", "[[[[", "{a: {b: [c]}}", "- " * 400, "[" * 3000, "|", ">-", "? a", "'", '"'),
    *("-1", "0", "0x10", "1_000", "1e999", ".nan", "99999999999999999999GiB", "2099-01-01", "yes", "٣"),
    *("&a [*a]", "*nowhere", "{<<: [1]}", "!!python/object:os.system x", "!!binary abc", "${HOME}", "${NO_SUCH}"),
    *("${", "$${", r'"\ud800"', "a\x00b", "\ufeff", "\t", "x" * 70_000),
    *("http://[::1", "http://\udcff", "socks://x", "../" * 2000),
]
values = st.sampled_from(VALUES) | st.text(max_size=20)

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def mutated(draw):
    """The example with some lines changed, removed, inserted or indented."""
    lines = [line.replace("#: ", "").replace("#:", "") if draw(st.integers(0, 9)) == 0 else line for line in LINES]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 7)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, draw(st.sampled_from(SETTINGS)))
            case 2:
                lines[at] = " " * draw(st.integers(0, 6)) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case 4:
                lines.insert(at, draw(values))
            case _:
                key, colon, _ = lines[at].partition(":")
                lines[at] = f"{key}{colon} {draw(values)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@st.composite
def corrupted(draw):
    """The example with some of its bytes changed."""
    raw = bytearray(TEXT.encode())
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 40))] = draw(st.binary(max_size=10))
    return bytes(raw)


documents = st.one_of(st.binary(max_size=400), mutated(), mutated(), corrupted())


def problems_of(path, raw):
    """Load a document; return its problems, one line each."""
    path.write_bytes(raw)
    began = time.monotonic()
    try:
        loaded = load(path)
    except ConfigError as error:
        lines = [str(problem) for problem in error.problems]
        assert lines
    else:
        assert loaded.config.folders
        lines = list(loaded.warnings)
    assert time.monotonic() - began < 5
    for line in lines:
        assert line.isprintable() or not any(ord(char) < 32 for char in line)
        line.encode()
        assert str(path) in line
        assert len(line) < 5000
    return lines


@settings(quick, max_examples=200)
@given(raw=documents)
def test_load_any_document_is_accepted_or_reported_by_line(tmp_path, raw):
    problems_of(tmp_path / "config.yaml", raw)


@settings(quick, max_examples=15)
@given(raw=documents)
def test_load_any_bytes_are_accepted_or_reported(tmp_path, raw):
    """An invalid file ends the command with code 78, one line per problem and no traceback."""
    path = tmp_path / "config.yaml"
    path.write_bytes(raw)
    try:
        load(path)
    except ConfigError as error:
        count = len(error.problems)
    else:
        return  # valid: the command would start to upload
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["syncd", "once", "-c", str(path)])
        errors = (tmp_path / "errors").open("w+")
        patch.setattr(sys, "stderr", errors)
        with errors, pytest.raises(SystemExit) as ended:
            main()
    stderr = (tmp_path / "errors").read_text()
    assert ended.value.code == 78
    assert "Traceback" not in stderr
    assert stderr.count("\n") == count
    assert all(line.startswith("syncd: ") for line in stderr.splitlines())


names = st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
patterns = st.text("abAB.*?[]!/\\ #~^-\n\t", max_size=15) | st.text(max_size=10)


@settings(quick, max_examples=200)
@example(include=["[[]x"], exclude=["*[[:a-z]"], name="[x")
@example(include=["[b-a]"], exclude=["[Z-a]"], name="b")
@given(include=st.lists(patterns, max_size=4), exclude=st.lists(patterns, max_size=4), name=names)
def test_patterns_accepted_pattern_matches_any_name(tmp_path, include, exclude, name):
    """A pattern with invalid gitignore syntax fails on load, not in a scan."""

    path = tmp_path / "config.yaml"
    folder = {"path": "inbox", "remote": "ascii", "include": include, "exclude": exclude}
    document = {"folders": [folder], "remotes": {"ascii": {"type": "image", "url": "http://127.0.0.1:1"}}}
    path.write_text(yaml.safe_dump(document))
    try:
        (made,) = load(path).config.folders
    except ConfigError as error:
        keys = {problem.key for problem in error.problems}
    else:
        keys = set()
        patterns = Patterns(include=made.include, exclude=made.exclude)
        assert patterns.matches(name) in {True, False}
        assert patterns.descends_into(name) in {True, False}
    assert all("include" in key or "exclude" in key for key in keys)
