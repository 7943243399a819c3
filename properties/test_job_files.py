"""What is written to a job file is read as the same."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from kala_trio import wire
from kala_trio.bodies import definition_of
from kala_trio.core.errors import Refused
from kala_trio.job_files.reader import read_jobs
from kala_trio.job_files.writer import draft_of, written
from kala_trio.templates import accepted
from properties import bodies

AT = datetime(2026, 3, 1, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
words = st.sampled_from(
    [
        *("~", "null", "true", "no", "09:00", "1e3", "-", "- a", "a: b", "#", "*a", "&a", "!a"),
        *("%", "@", "|", ">", "?", "=", "<<", " a", "a ", "\n", "a\n", "\n\na", "a\n b\n"),
        *("\t", "a\tb\n", "\x85", "\u2028", "a\r\nb"),
    ]
)


@given(bodies.good_fields([], remote=False), st.data())
def test_a_job_that_is_exported_is_read_as_it_was(
    fields: bodies.Fields, data: st.DataObject
) -> None:
    """Whatever it says, and whatever of that YAML might misread."""
    name, text = data.draw((words | texts).filter(str.strip)), data.draw(words | texts)
    keys = {**fields, "name": name[:100], "stdin": text, "env": {"A": text, "B": name[:100]}}
    try:
        definition = accepted(definition_of(keys), AT)
    except Refused:
        return
    job = wire.encode_definition(definition, definition.disabled) | {"id": "x"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.yaml"
        path.write_text(written(draft_of([job])), encoding="utf-8")
        (found,) = read_jobs([path], AT)
    assert found.definition == definition


@given(texts | words)
@example("a" * 5000)
@example("\ufeff")
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    """Blanks, line ends, signs and what no terminal shows."""
    job = {"id": "x", "name": "a", "command": "true", "stdin": text, "type": 0}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.yaml"
        path.write_text(written(draft_of([job])), encoding="utf-8")
        (found,) = read_jobs([path], AT)
    assert found.definition.execution.stdin == text
    assert msgspec.json.encode(found.keys["stdin"])
