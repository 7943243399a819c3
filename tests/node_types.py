"""The types of the Node client, made of the OpenAPI document.

python -m tests.node_types >clients/node/api.d.ts
"""

import json
from typing import Any

import click

from kala_trio.web import answer_schemas, request_schemas

HEAD = """\
// What the API takes and gives, made of its OpenAPI document by `python -m tests.node_types`.
// Instants are texts by RFC 3339, in UTC; docs/http-api.md tells what each key means.
"""

_NAMES = {"integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_LEFT_OUT = {"Changes", "JobPatch", "ListedJob", "Error", "Deed"}
"""Schemas that the client has no use for, or says otherwise."""


def types() -> str:
    """Return the module of declarations."""
    schemas = request_schemas.schemas() | answer_schemas.schemas()
    made = [_interface(name, each) for name, each in schemas.items() if name not in _LEFT_OUT]
    return "\n".join([HEAD, *made])


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    lines = []
    for key, each in schema["properties"].items():
        # What Kala of 2015 calls it needs no second name here, and what is not ours to say none.
        if key[0].isupper() or each.get("readOnly"):
            continue
        if text := each.get("description"):
            lines.append(f"  /** {text}. */")
        mark = "" if key in required else "?"
        lines.append(f"  {key}{mark}: {_type(each)};")
    return "\n".join([f"export interface {name} {{", *lines, "}", ""])


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return str(reference).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if some := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(map(_type, some))
    kinds = schema.get("type", [])
    some = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(_named(kind, schema) for kind in some) or "unknown"


def _named(kind: str, schema: dict[str, Any]) -> str:
    match kind:
        case "array":
            each = _type(schema["items"])
            return f"({each})[]" if "|" in each else f"{each}[]"
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            pairs = (
                f"{key}{'' if key in required else '?'}: {_type(each)}"
                for key, each in schema["properties"].items()
                if not key[0].isupper()
            )
            return f"{{ {'; '.join(pairs)} }}"
        case "object":
            values = schema.get("additionalProperties")
            return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
        case _:
            return _NAMES.get(kind, "string")


if __name__ == "__main__":
    click.echo(types(), nl=False)
