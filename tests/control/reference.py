"""Write the table of routes into the reference: ``python -m tests.control.reference``."""

from pathlib import Path

from syncd.control.routes import ROUTES, Route

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"
HEAD = "| request | body or query | answer |\n|---|---|---|\n"


def table():
    """Return the table of all routes, in Markdown."""
    return HEAD + "".join(
        f"| `{route.method} {route.path}` | {given} | {answer} |\n".replace("|  |", "| |")
        for route in ROUTES
        for given, answer in [(parameters(route), route.answer)]
    )


def parameters(route: Route):
    """Return the cell with the parameters of a route."""
    body = ", ".join(f'"{parameter.name}": {parameter.example}' for parameter in route.body)
    query = " ".join(f"`{'?' if parameter is route.query[0] else '&'}{parameter.name}=`" for parameter in route.query)
    if route.file_body:
        return f"{query}, and the file as the body"
    return f"`{{{body}}}`" if body else query


def replace_table(page):
    """Return ``page`` with its table replaced by the current one."""
    before, rest = page.split(HEAD)
    end = rest.index("\n\n")
    return before + table() + rest[end + 1 :]


if __name__ == "__main__":
    PAGE.write_text(replace_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
