"""The table of routes agrees with the reference, the handlers and the client."""

from syncd.control import routes
from syncd.control.app import HANDLERS
from syncd.control.client import ControlClient
from tests.control import reference

NOT_FOR_COMMANDS = {
    routes.HEALTH,
    routes.METRICS,
    routes.OPENAPI,
    routes.FOLDERS,
    routes.REMOTES,
    routes.PREVIEW,
    routes.ORIGINAL,
    routes.DROP,
    routes.THROUGHPUT,
    routes.SETTINGS,
    routes.LIMIT,
    routes.PROBE,
}
"""Routes for the dashboard and for other programs, which no command uses."""


def test_reference_table_is_generated():
    page = reference.PAGE.read_text(encoding="utf-8")
    assert page == reference.replace_table(page), "run python -m tests.control.reference"


def test_each_route_has_one_handler():
    assert set(HANDLERS) == set(routes.ROUTES)


def test_routes_are_unique():
    assert len({(route.method, route.path) for route in routes.ROUTES}) == len(routes.ROUTES)


def test_client_uses_each_other_route():
    names = {
        name
        for method in vars(ControlClient).values()
        if hasattr(method, "__code__")
        for name in method.__code__.co_names
    }
    used = {route for name, route in vars(routes).items() if name in names and isinstance(route, routes.Route)}
    assert used == set(routes.ROUTES) - NOT_FOR_COMMANDS
