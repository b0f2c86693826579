# ruff: noqa: D102 - Parameter documents the methods
"""Parses, encodes and documents the parameters that name jobs and files.

They belong to the control API. :mod:`syncd.control.params` has the base class, :mod:`syncd.control.job_targets` the
encoding.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from syncd.control import job_targets
from syncd.control.job_targets import Target
from syncd.control.params import Choice, Json, Parameter
from syncd.control.service import InvalidRequestError, JobQuery
from syncd.core.model import Sort
from syncd.core.states import State

MAX_JOBS = 999_999_999
"""The largest limit of a list of jobs, for all jobs."""
MISSING = Choice(
    name="missing",
    choices={"404": 404, "204": 204},
    default=404,
    description="The status without content to send. A browser reports a 404 as an error of the page.",
)


@dataclass(kw_only=True, eq=False, repr=False)
class TargetParameter(Parameter):
    """A job or a file: see :mod:`syncd.control.job_targets`."""

    description: str = "A job's id in digits, or a file:// URI with an absolute path."

    def parse(self, given: object) -> Any:
        return _target(given)

    def encode(self, value: Target) -> str:
        return job_targets.encode_target(value)


@dataclass(kw_only=True, eq=False, repr=False)
class JobId(TargetParameter):
    """A job's id."""

    description: str = "A job's id in digits."

    def parse(self, given: object) -> int:
        target = _target(given)
        if not isinstance(target, int):
            raise InvalidRequestError(f"{self.name} must be a job's id")
        return target


@dataclass(kw_only=True, eq=False, repr=False)
class FileUri(TargetParameter):
    """An absolute path as a ``file://`` URI; the parsed value is the path."""

    description: str = "A file:// URI with the bytes of an absolute path."

    @property
    def type_schema(self) -> Json:
        return {"type": "string", "format": "uri"}

    @property
    def example(self) -> str:
        return "file URI"

    def parse(self, given: object) -> str | None:
        if given is None and not self.required:
            return None
        target = _target(given)
        if isinstance(target, int):
            raise InvalidRequestError(f"{self.name} must be a file:// URI")
        return target


@dataclass(kw_only=True, eq=False, repr=False)
class TargetList(Parameter):
    """A list of at most ``maximum`` targets in a JSON body.

    With a ``word``, such as ``all``, that word is valid too, and its value is None.
    """

    required: bool = True
    maximum: int | None = None
    word: str | None = None

    @property
    def type_schema(self) -> Json:
        schema: Json = {"type": "array", "items": TargetParameter(name="").schema, "minItems": 1}
        if self.maximum is not None:
            schema["maxItems"] = self.maximum
        return schema if self.word is None else {"oneOf": [{"const": self.word}, schema]}

    @property
    def example(self) -> str:
        return "[target, …]" if self.word is None else f'[target, …] or "{self.word}"'

    def parse(self, given: object) -> list[Target] | None:
        if self.word is not None and given == self.word:
            return None
        if not isinstance(given, list) or not given:
            raise InvalidRequestError("targets must be a list with at least one target")
        if self.maximum is not None and len(given) > self.maximum:
            raise InvalidRequestError(f"targets must be a list with at most {self.maximum} targets")
        return [_target(item) for item in given]

    def encode(self, value: Collection[Target] | str) -> list[str] | str:
        return value if isinstance(value, str) else [job_targets.encode_target(target) for target in value]


def _target(given: object) -> Target:
    if not isinstance(given, str):
        raise InvalidRequestError("a target must be a text: a job's id or a file:// URI")
    try:
        return job_targets.decode_target(given)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None


JOB_FILTERS = (
    Choice(name="state", choices={**{state.value: state for state in State}, "pending": "pending"}),
    Parameter(name="search", description="Text in the path."),
    FileUri(name="folder"),
    Parameter(name="remote", description="A remote's name."),
    Choice(name="sort", choices={sort.value: sort for sort in Sort}, default=JobQuery().sort),
)
"""The parameters that select jobs in a list."""
