"""The pages of the reference that are made of the code: commands, settings, and the API."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import click

from kala_trio.cli import main
from kala_trio.cli.service import run
from kala_trio.settings import PREFIX, Settings
from properties.documented import document


def commands() -> str:
    """Return a page of all commands, as their own help says it."""
    parts = [
        "# All commands",
        "What `--help` says of each; [the command line](../cli.md) tells more.",
    ]
    for path, command in _leaves(main, ()):
        context = click.Context(command, info_name=" ".join(("kala-trio", *path)))
        usage = " ".join(command.collect_usage_pieces(context))
        parts += [f"## `{context.info_name}`", f"```text\n{context.info_name} {usage}\n```"]
        parts.append(inspect.cleandoc(command.help or ""))
        rows = [record for each in command.params if (record := each.get_help_record(context))]
        if rows:
            parts.append(_table(("option", ""), ((f"`{name}`", what) for name, what in rows)))
    return "\n\n".join(parts) + "\n"


def settings() -> str:
    """Return a page of all settings of the daemon: what each is called, and what it does."""
    options = {option.name: option for option in run.params}
    context = click.Context(run)
    rows = []
    for name in Settings.__struct_fields__:
        record = options[name].get_help_record(context)
        assert record
        flag, what = record
        rows.append((f"`{flag}`", f"`{PREFIX}{name.upper()}`", f"`{name}`", what))
    head = (
        "# All settings\n\nFlags of `kala-trio run` beat variables of the environment, and those "
        "the keys of the TOML file at `--config`. [The command line](../cli.md) tells more."
    )
    return f"{head}\n\n{_table(('flag', 'variable', 'key', ''), rows)}\n"


def api() -> str:
    """Return a page of all routes, as openapi.json tells of them."""
    told = document()
    parts = [
        "# All routes",
        "Made of the daemon's own `openapi.json`; [the HTTP API](../http-api.md) tells more.",
    ]
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            parts.append(f"## {method.upper()} `{path}`")
            parts.append(_sentence(operation.get("description") or operation["summary"]))
            if parameters := operation.get("parameters"):
                rows = ((f"`{each['name']}`", each["in"], _said(each)) for each in parameters)
                parts.append(_table(("parameter", "in", ""), rows))
            if body := operation.get("requestBody"):
                parts.append(f"It takes {_content(body['content'])}.")
            answers = (
                (status, _answer(each, told)) for status, each in operation["responses"].items()
            )
            parts.append(_table(("status", ""), answers))
    for name, schema in told["components"]["schemas"].items():
        parts.append(f"## {name}")
        rows = (
            (f"`{key}`", _kind(each), _said(each))
            for key, each in schema.get("properties", {}).items()
        )
        parts.append(_table(("key", "type", ""), rows))
    return "\n\n".join(parts) + "\n"


def _leaves(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found
        if not found.hidden:
            yield from _leaves(found, (*path, name))


def _answer(answer: dict[str, Any], told: dict[str, Any]) -> str:
    if "$ref" in answer:
        answer = told["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer.get("content")
    said = _sentence(answer["description"])
    return f"{said} {_content(content)}" if content else said


def _content(content: dict[str, Any]) -> str:
    return ", or ".join(
        f"`{kind}`: {_kind(each.get('schema', {}))}" for kind, each in content.items()
    )


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if some := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(_kind, some))
    kinds = schema.get("type", "any")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    return f"{words} of {_kind(schema['items'])}" if "items" in schema else words


def _said(each: dict[str, Any]) -> str:
    schema = each.get("schema", {})
    return _sentence(each.get("description") or schema.get("description") or "")


def _sentence(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".:" else text


def _table(heads: tuple[str, ...], rows: Any) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines)


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
