"""Describes the configuration file as a JSON Schema.

Editors use the schema to complete keys and mark errors. The schema is built from :class:`syncd.config.model.Config`:
from the types of the values, and from the forms of each value in a file (``json_schema_input_type``). It cannot express
every rule: a file that fits it may still be invalid.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from syncd.config.model import Config

PACKAGED = Path(__file__).with_name("schema.json")
"""The schema with the texts of the reference, which ``make dist`` adds to the wheel."""
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
"""A value with an environment variable, which may stand for any single value."""
_BOOLEAN_TEXT = {"type": "string", "pattern": "^([Tt]rue|[Ff]alse|[Yy]es|[Nn]o|[Oo]n|[Oo]ff)$"}
"""The booleans of YAML 1.1, which an editor may take for texts."""


def text() -> str:
    """Return the schema as text.

    Returns the packaged schema. Without a package, returns the schema without descriptions.
    """
    if PACKAGED.exists():
        return PACKAGED.read_text(encoding="utf-8")
    return json.dumps(document(), indent=2)


def document(descriptions: Mapping[str, Mapping[str, str]] | None = None) -> JsonSchemaValue:
    """Return the schema.

    ``descriptions`` has a text for each key of each section, by the name of the section's class.
    """
    schema = Config.model_json_schema(mode="validation", by_alias=True)
    sections = {**schema.pop("$defs"), "Config": schema}
    for name, section in sections.items():
        required = section.get("required", ())
        for key, value in section.get("properties", {}).items():
            # A key without a value counts as absent.
            described = _in_a_file(value) if key in required else _any_of(_in_a_file(value), {"type": "null"})
            if text := (descriptions or {}).get(name, {}).get(key):
                described["description"] = text
            section["properties"][key] = described
        section.pop("title", None)
        section["description"] = section.get("description", "").partition("\n\n")[0]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "syncd configuration",
        **sections.pop("Config"),
        "$defs": sections,
    }


def _in_a_file(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return the schema of a value as it is in a file.

    The result has no titles and defaults, and allows environment variables.
    """
    schema = {key: value for key, value in schema.items() if key not in {"title", "default", "discriminator"}}
    if "anyOf" in schema:
        return {**schema, **_any_of(*map(_in_a_file, schema["anyOf"]))}
    if "oneOf" in schema:
        return {**schema, "oneOf": [_in_a_file(each) for each in schema["oneOf"]]}
    for below in "items", "additionalProperties":
        if isinstance(schema.get(below), dict):
            schema[below] = _in_a_file(schema[below])
    if "patternProperties" in schema:
        patterns = schema.pop("patternProperties")
        schema |= {"patternProperties": {name: _in_a_file(value) for name, value in patterns.items()}}
        schema["additionalProperties"] = False
    if schema.get("type") == "boolean":
        return _any_of(schema, _BOOLEAN_TEXT, _VARIABLE)
    if _has_limits(schema):
        return _any_of(schema, _VARIABLE)
    return schema


def _has_limits(schema: JsonSchemaValue) -> bool:
    """Return whether the schema of a single value refuses some texts."""
    return bool({"enum", "const", "pattern"} & set(schema)) or schema.get("type") in ("integer", "number")


def _any_of(*schemas: JsonSchemaValue) -> dict[str, Any]:
    """Return a schema for a value that fits one of these; each of them once."""
    each = [part for schema in schemas for part in schema.get("anyOf", [schema])]
    return {"anyOf": [part for index, part in enumerate(each) if part not in each[:index]]}
