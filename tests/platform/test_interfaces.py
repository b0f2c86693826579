"""The structure of syncd.platform: equal interfaces, few platform checks elsewhere."""

import ast
import pathlib

import pytest

import syncd

ROOT = pathlib.Path(syncd.__file__).parent
PLATFORM = ROOT / "platform"
MODULES = sorted(path.name for path in (PLATFORM / "posix").glob("[a-z]*.py"))
MAX_MODULES_OUTSIDE = 10
"""Modules outside of syncd.platform that may test ``sys.platform``, such as those that choose a module by it."""


def tree(path):
    return ast.parse(path.read_text("utf-8"))


def parameters(function):
    """Return the kinds and the number of the parameters; names of unused ones may differ."""
    arguments = function.args
    return (
        len(arguments.posonlyargs + arguments.args),
        {one.arg for one in arguments.kwonlyargs},
        bool(arguments.vararg),
    )


def functions(path):
    """Return the public functions of a module, also those that are defined in a branch."""
    body = [
        node
        for top in tree(path).body
        for node in ([top, *top.body, *top.orelse] if isinstance(top, ast.If) else [top])
    ]
    return {node.name: parameters(node) for node in body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"}


def chosen(path):
    """Return the names that a module imports from ``posix`` and from ``windows``."""
    imports = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
    return {
        package: {name.name for node in imports if package in (node.module or "").split(".") for name in node.names}
        for package in ("posix", "windows")
    }


@pytest.mark.parametrize("name", MODULES)
def test_posix_and_windows_interfaces_are_equal(name):
    names = chosen(PLATFORM / name)
    assert names["posix"] == names["windows"] != set()
    posix, windows = functions(PLATFORM / "posix" / name), functions(PLATFORM / "windows" / name)
    for function in names["posix"] & posix.keys() & windows.keys():
        assert posix[function] == windows[function], function


def test_platform_checks_outside_package_are_few():
    testing = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if PLATFORM not in path.parents
        for line in path.read_text("utf-8").splitlines()
        if "sys.platform" in line and not line.startswith("assert ")  # an assertion only informs mypy
    }
    assert 0 < len(testing) <= MAX_MODULES_OUTSIDE, testing
