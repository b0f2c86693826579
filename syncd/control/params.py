# ruff: noqa: D102 - Parameter documents the methods
"""Parses, encodes and documents the parameters of the control API, a class per type.

:mod:`syncd.control.routes` lists the parameters of each route; :mod:`syncd.control.job_params` has the types for jobs.
The daemon calls :meth:`Parameter.parse` and the client
:meth:`Parameter.encode`. The OpenAPI document uses :attr:`Parameter.schema`, the reference :attr:`Parameter.example`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncd.control.service import InvalidRequestError

Json = dict[str, Any]


@dataclass(kw_only=True, eq=False, repr=False)
class Parameter:
    """A text, and the base class of the other types.

    ``default`` is the value of an absent parameter.
    """

    name: str
    description: str = ""
    required: bool = False
    default: Any = None

    @property
    def type_schema(self) -> Json:
        """Return the JSON schema without default and description."""
        return {"type": "string"}

    @property
    def schema(self) -> Json:
        """Return the JSON schema of the encoded value."""
        schema = self.type_schema
        if self.default not in (None, ""):
            schema = {**schema, "default": self.default}
        return {**schema, "description": self.description} if self.description else schema

    @property
    def example(self) -> str:
        """Return the value in a JSON body, as the reference shows it."""
        return "text"

    def parse(self, given: Any) -> Any:
        """Return the value of ``given``: a text of the query, or a JSON value.

        Raises :class:`InvalidRequestError`.
        """
        if given is None:
            raise InvalidRequestError(f"{self.name} is missing")
        return given

    def encode(self, value: Any) -> Any:
        """Return ``value`` as a JSON value or a text of the query."""
        return value


@dataclass(kw_only=True, eq=False, repr=False)
class Number(Parameter):
    """An integer from 1 to ``maximum``."""

    maximum: int

    @property
    def type_schema(self) -> Json:
        return {"type": "integer", "minimum": 1, "maximum": self.maximum}

    def parse(self, given: str) -> int:
        if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= self.maximum):
            raise InvalidRequestError(f"{self.name} must be a number from 1 to {self.maximum}")
        return int(given)


@dataclass(kw_only=True, eq=False, repr=False)
class Choice(Parameter):
    """One of ``choices``, which maps the words of the API to values."""

    choices: Mapping[str, Any]

    @property
    def type_schema(self) -> Json:
        values = list(self.choices.values())
        if all(isinstance(value, int) for value in values):
            return {"type": "integer", "enum": values}
        return {"type": "string", "enum": [str(word) for word in self.choices]}

    @property
    def example(self) -> str:
        return " or ".join(f'"{word}"' for word in self.choices)

    def parse(self, given: object) -> Any:
        if not isinstance(given, str) or given not in self.choices:
            raise InvalidRequestError(f"{self.name} must be one of {', '.join(self.choices)}")
        return self.choices[given]


@dataclass(kw_only=True, eq=False, repr=False)
class WordList(Parameter):
    """Some of ``words``, separated by commas."""

    words: Collection[str]

    def parse(self, given: str) -> list[str]:
        chosen = given.split(",")
        if not set(chosen) <= set(self.words):
            raise InvalidRequestError(f"{self.name} must be one of {', '.join(self.words)}")
        return chosen

    def encode(self, value: Collection[str]) -> str:
        return ",".join(value)


@dataclass(kw_only=True, eq=False, repr=False)
class Flag(Parameter):
    """True or false in a JSON body."""

    default: bool = False

    @property
    def type_schema(self) -> Json:
        return {"type": "boolean"}

    @property
    def example(self) -> str:
        return "bool"

    def parse(self, given: object) -> bool:
        if not isinstance(given, bool):
            raise InvalidRequestError(f"{self.name} must be true or false")
        return given


@dataclass(kw_only=True, eq=False, repr=False)
class Instant(Parameter):
    """A time with a zone, in ISO 8601.

    The value is an aware datetime, or None for null.
    """

    @property
    def type_schema(self) -> Json:
        return {"type": ["string", "null"], "format": "date-time"}

    @property
    def example(self) -> str:
        return '"2026-11-30T07:00:00+00:00"'

    def parse(self, given: object) -> datetime | None:
        if given is None:
            return None
        try:
            moment = datetime.fromisoformat(str(given))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise InvalidRequestError(f"{self.name} must be a time with a zone, such as 2026-11-30T07:00:00+00:00")

    def encode(self, value: datetime) -> str:
        return value.isoformat()


@dataclass(kw_only=True, eq=False, repr=False)
class Limit(Parameter):
    """A limit in a JSON body, written as in the configuration file.

    ``hint`` describes a valid value in the error message.
    """

    types: tuple[str, ...]
    hint: str
    sample: str

    @property
    def type_schema(self) -> Json:
        return {"type": list(self.types) if len(self.types) > 1 else self.types[0]}

    @property
    def example(self) -> str:
        return self.sample

    def parse(self, given: object) -> str | int | None:
        allowed = {"string": str, "integer": int}
        fits = given is None or any(isinstance(given, allowed[name]) for name in self.types)
        if not fits or isinstance(given, bool):
            raise InvalidRequestError(f"{self.name} must be {self.hint}")
        return given  # type: ignore[return-value]  # the schema names its types


def parse_all(parameters: Collection[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter by its name.

    Raises :class:`InvalidRequestError` for an unknown name.
    """
    known = {parameter.name for parameter in parameters}
    for name in given:
        if name not in known:
            raise InvalidRequestError(
                f"unknown field {name!a}" + (f": known are {', '.join(sorted(known))}" if known else "")
            )
    return {
        parameter.name: parameter.parse(given.get(parameter.name))
        if parameter.name in given or parameter.required
        else parameter.default
        for parameter in parameters
    }
