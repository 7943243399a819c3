"""What a value of one of our types is in JSON, by JSON Schema."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

Schema = dict[str, Any]
Keys = Mapping[str, Any]
"""What stands at each key: a type, or a schema."""

_PLAIN = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
}


def schema_of(hint: Any) -> Schema:
    """Return what a value of a type is in JSON, where pairs are an object; a schema stays one."""
    if isinstance(hint, dict):
        return hint
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if isinstance(hint, UnionType):
        return or_null(schema_of(get_args(hint)[0]))
    if get_origin(hint) is not tuple:
        return words(hint) if issubclass(hint, StrEnum) else an_object(get_type_hints(hint))
    inner = get_args(hint)[0]
    if get_origin(inner) is tuple:
        return {"type": "object", "additionalProperties": schema_of(get_args(inner)[1])}
    return {"type": "array", "items": schema_of(inner)}


def or_null(schema: Schema) -> Schema:
    """Let null stand there, too, where not anything may."""
    if "type" not in schema:
        return schema
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    widened = schema | {"type": [*kinds, *{"null"}.difference(kinds)]}
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], *{None}.difference(schema["enum"])]
    return widened


def an_object(keys: Keys, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object that has all these keys, or not the ``optional`` ones."""
    return {
        "type": "object",
        "properties": {key: schema_of(hint) for key, hint in keys.items()},
        "required": [key for key in keys if key not in optional],
    }


def words(choices: Iterable[str]) -> Schema:
    """Return the schema of one of these words."""
    return {"type": "string", "enum": [str(each) for each in choices]}


def told(hint: Any, meaning: str, **bounds: object) -> Schema:
    """Return the schema of a type with what it means, and within what bounds it is."""
    return schema_of(hint) | {"description": meaning} | bounds


def ref(name: str) -> Schema:
    """Refer to one of the ``schemas``."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str, **bounds: object) -> Schema:
    """Return the schema of a list of what has that name among the ``schemas``."""
    return {"type": "array", "items": ref(name), **bounds}
