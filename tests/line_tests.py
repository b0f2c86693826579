"""A pytest plugin that records which tests run each line of syncd, as JSON.

Use it with ``-p tests.line_tests --line-tests FILE``. ``make mutation`` reads the file and runs, for each mutant, only
the tests that can detect it.
"""

import functools
import json
import os
import sys

import coverage
import pytest


def pytest_addoption(parser):
    parser.addoption("--line-tests", metavar="FILE", required=True, help="where to write the record")


def pytest_configure(config):
    config.pluginmanager.register(_Recorder(config.getoption("--line-tests")))


class _Recorder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.tests: list[str] = []
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=["syncd/*"])
        self.coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(str(len(self.tests)))
        self.tests.append(item.nodeid)
        _clear_caches()
        return (yield)

    def pytest_sessionfinish(self):
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            os.path.relpath(file): {
                line: sorted(int(context) for context in contexts if context)
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        with open(self.path, "w", encoding="utf-8") as record:
            json.dump({"tests": self.tests, "lines": lines}, record)


def _clear_caches() -> None:
    """Clear the caches of syncd's functions, so that no test uses the results of another."""
    for name, module in list(sys.modules.items()):
        if name.startswith("syncd."):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
