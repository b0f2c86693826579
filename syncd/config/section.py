"""The base class of every section of the configuration.

Sections are frozen, strict about keys, and have clear error messages: pydantic's messages are for programmers. Each
section translates its errors into sentences for the author of the file, because only the section knows its keys.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

_TRANSLATED = "translated"
"""Type of an error whose message is already a sentence."""

_SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a list of names and values, each as `name: value`",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_attributes_type": "must contain keys and values, each as `key: value`",
    "model_type": "must contain keys and values, each as `key: value`",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "union_tag_invalid": "type must be {expected_tags}",
    "union_tag_not_found": "type is missing — write `type: image` or `type: multipart`",
}


class Section(BaseModel):
    """A mapping of the configuration file.

    Its ValidationError has one clear sentence for each problem.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the keys with their names in the file."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @model_validator(mode="wrap")
    @classmethod
    def _translate_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        keys = cls.keys()
        if isinstance(data, Mapping):  # a known key without a value counts as absent
            data = {key: value for key, value in data.items() if value is not None or key not in keys}
        try:
            return handler(data)
        except ValidationError as error:
            absent = [key for key in keys if not isinstance(data, Mapping) or key not in data]
            problems = [cls._translated(details, absent) for details in error.errors(include_input=False)]
        raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)

    @classmethod
    def _translated(cls, details: ErrorDetails, absent: Iterable[str]) -> InitErrorDetails:
        sentence = cls._sentence(details, absent)
        return InitErrorDetails(type=PydanticCustomError(_TRANSLATED, sentence), loc=details["loc"], input=None)

    @classmethod
    def _sentence(cls, details: ErrorDetails, absent: Iterable[str]) -> str:
        kind, context, key = details["type"], details.get("ctx", {}), details["loc"][-1:]
        if kind == _TRANSLATED:
            return details["msg"]
        if kind == "value_error":
            return str(context["error"])
        if kind == "missing":
            return f"is missing — {cls._description(*key)}"
        if kind == "extra_forbidden":
            return f"there is no such key — {nearest(str(*key), absent)}"
        return _SENTENCES.get(kind, details["msg"]).format(**context)

    @classmethod
    def _description(cls, key: int | str) -> str:
        described = {field.alias or name: field.description for name, field in cls.model_fields.items()}
        return described.get(str(key)) or "it must be given"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return advice on an unknown word: the most similar known word, or all known words."""
    names = list(known)
    meant = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if meant:
        return f"did you mean {meant[0]}?"
    return f"known here: {', '.join(names)}" if names else "nothing else is known here"
